/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* Writes a structured journal record for every change of a worker: MESSAGE_ID=, PAREXEC_WORKER=, PAREXEC_STATE=,
 * PAREXEC_OLD_STATE=, PAREXEC_UNIT=, and one for every task that failed: PAREXEC_TASK=, PAREXEC_OUTCOME=. Where there is no
 * journal (a private session bus) they go to stderr as plain lines. */
typedef struct WorkerJournal WorkerJournal;

WorkerJournal *worker_journal_new(void);
WorkerJournal *worker_journal_free(WorkerJournal *journal);
ObserverPort *worker_journal_port(WorkerJournal *journal);

/* systemd's catalog identifies records by these; see parexecd(8). */
#define PAREXEC_MESSAGE_WORKER_STATE "fe9143d1dbef4887a89f89a7e7cffaaa"
#define PAREXEC_MESSAGE_WORKER_FAILED "28a81f7224234fe28603f9cf9c696e75"
#define PAREXEC_MESSAGE_WORKER_STALLED "faa27d6c336c41c49f551b52bb3d820c"
#define PAREXEC_MESSAGE_TASK_FAILED "a67b1e3420da4e4a8b1ea1825efbc538"
