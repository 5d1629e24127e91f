/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names of the D-Bus API: the only place in C where they are spelled out.
 * Their meaning is in the XML files beside this header. */

#define PAREXEC_BUS_NAME "org.parexec"
#define PAREXEC_PATH "/org/parexec"
#define PAREXEC_WORKER_PATH "/org/parexec/worker" /* + "/w1" */
#define PAREXEC_TASK_PATH "/org/parexec/task"     /* + "/17", sd_bus_path_encode()d: "/_317" */

#define PAREXEC_MANAGER_INTERFACE "org.parexec.Manager1"
#define PAREXEC_WORKER_INTERFACE "org.parexec.Worker1"
#define PAREXEC_TASK_INTERFACE "org.parexec.Task1"

/* The worker protocol, peer to peer over the worker socket. */
#define PAREXEC_LINK_PATH "/org/parexec/link"
#define PAREXEC_LINK_INTERFACE "org.parexec.Worker.Link1"     /* the daemon's end */
#define PAREXEC_RUNNER_INTERFACE "org.parexec.Worker.Runner1" /* the worker's end */

/* Signatures of the worker protocol; the fields are named in org.parexec.Worker.Link1.xml. */
#define PAREXEC_LINK_CONTEXT "(tuuauayayayayaytays)"
#define PAREXEC_LINK_TASK "(ttutttaya(say)a{sv})"
#define PAREXEC_LINK_TASK_FD "(tuh)"
#define PAREXEC_LINK_HELD "(ttt)"
#define PAREXEC_LINK_RESULT "(ttsiiittttaya{sv})"

/* polkit actions */
#define PAREXEC_ACTION_SUBMIT "org.parexec.submit"
#define PAREXEC_ACTION_MANAGE_WORKERS "org.parexec.manage-workers"
#define PAREXEC_ACTION_MANAGE_TASKS "org.parexec.manage-tasks"
#define PAREXEC_ACTION_CONFIGURE "org.parexec.configure"

/* Errors */
#define PAREXEC_ERROR_INVALID_ARGUMENT "org.parexec.Error.InvalidArgument"
#define PAREXEC_ERROR_UNKNOWN_OPTION "org.parexec.Error.UnknownOption"
#define PAREXEC_ERROR_INVALID_STATE "org.parexec.Error.InvalidState"
#define PAREXEC_ERROR_NO_SUCH_WORKER "org.parexec.Error.NoSuchWorker"
#define PAREXEC_ERROR_NO_SUCH_TASK "org.parexec.Error.NoSuchTask"
#define PAREXEC_ERROR_NO_SUCH_BATCH "org.parexec.Error.NoSuchBatch"
#define PAREXEC_ERROR_NO_SUCH_USER "org.parexec.Error.NoSuchUser"
#define PAREXEC_ERROR_NO_SUCH_QUEUE "org.parexec.Error.NoSuchQueue"
#define PAREXEC_ERROR_INVALID_DEPENDENCY "org.parexec.Error.InvalidDependency"
#define PAREXEC_ERROR_NO_OUTPUT "org.parexec.Error.NoOutput"
#define PAREXEC_ERROR_TOO_LARGE "org.parexec.Error.TooLarge"
#define PAREXEC_ERROR_TOO_MANY_WORKERS "org.parexec.Error.TooManyWorkers"
#define PAREXEC_ERROR_INSUFFICIENT_MEMORY "org.parexec.Error.InsufficientMemory"
#define PAREXEC_ERROR_INSUFFICIENT_CORES "org.parexec.Error.InsufficientCores"
#define PAREXEC_ERROR_INSUFFICIENT_RESOURCES "org.parexec.Error.InsufficientResources"
#define PAREXEC_ERROR_NO_SUCH_NODE "org.parexec.Error.NoSuchNode"
#define PAREXEC_ERROR_NO_SUCH_PROFILE "org.parexec.Error.NoSuchProfile"
#define PAREXEC_ERROR_WORKER_START_FAILED "org.parexec.Error.WorkerStartFailed"
#define PAREXEC_ERROR_NOT_AUTHORIZED "org.parexec.Error.NotAuthorized"
#define PAREXEC_ERROR_STORAGE_FULL "org.parexec.Error.StorageFull"
#define PAREXEC_ERROR_STORAGE_FAILED "org.parexec.Error.StorageFailed"
#define PAREXEC_ERROR_FAILED "org.parexec.Error.Failed"

/* How the message of a refused AddWorker begins; behind it stands the reason alone. */
#define PAREXEC_NO_WORKER_ADDED "No worker was added: "

/* Bounds of what a client may send. */
#define PAREXEC_TASKS_PER_CALL_MAX 10000U          /* what clients send; the daemon takes what the bus carries */
#define PAREXEC_ARGV_BYTES_MAX (2U * 1024 * 1024)  /* execve(2) would refuse more: a quarter of an 8 MiB stack */
#define PAREXEC_NAME_BYTES_MAX 255U
#define PAREXEC_TAGS_MAX 64U
#define PAREXEC_KEY_BYTES_MAX 255U
#define PAREXEC_CREDENTIALS_MAX 64U
#define PAREXEC_STATISTICS_ROWS_MAX 500U /* that one call answers */
#define PAREXEC_ARRAY_TASKS_MAX 100000000U
