/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tables of version 1 as they were released, to come from. Never changes. */
static const char version_1[] =
    /* Numbers that must not be counted or searched for: how many tasks are in each state (ids as TaskState), what
     * the next ids are, whether tasks are given to workers. */
    "CREATE TABLE counters ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  value INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO counters VALUES"
    "  (0, 'held', 0), (1, 'blocked', 0), (2, 'queued', 0), (3, 'running', 0), (4, 'waiting', 0),"
    "  (5, 'succeeded', 0), (6, 'failed', 0), (7, 'cancelled', 0), (8, 'skipped', 0),"
    "  (100, 'next-task', 1), (101, 'next-batch', 1), (102, 'next-worker', 1), (103, 'enabled', 1);"

    /* Who, where and with which environment: one row for each distinct TaskContext. */
    "CREATE TABLE contexts ("
    "  id INTEGER PRIMARY KEY,"
    "  digest TEXT NOT NULL UNIQUE," /* SHA-256 of the rest */
    "  uid INTEGER NOT NULL,"
    "  gid INTEGER NOT NULL,"
    "  groups BLOB NOT NULL," /* 32-bit numbers of this machine's byte order */
    "  cwd BLOB,"
    "  environment BLOB,"
    "  stdin BLOB, stdout BLOB, stderr BLOB,"
    "  memory_max INTEGER" /* NULL: unlimited, here and everywhere */
    ") STRICT;"

    /* phase: 0 open (its tasks are hidden, more may come), 1 committed, 2 being discarded (hidden too). */
    "CREATE TABLE batches ("
    "  id INTEGER PRIMARY KEY,"
    "  uid INTEGER NOT NULL,"
    "  phase INTEGER NOT NULL,"
    "  count INTEGER NOT NULL DEFAULT 0,"
    "  succeeded INTEGER NOT NULL DEFAULT 0,"
    "  failed INTEGER NOT NULL DEFAULT 0,"
    "  cancelled INTEGER NOT NULL DEFAULT 0,"
    "  skipped INTEGER NOT NULL DEFAULT 0,"
    "  submitted INTEGER NOT NULL" /* by the latest call */
    ") STRICT;"
    "CREATE INDEX batches_hidden ON batches (phase) WHERE phase <> 1;"

    /* The ids of a batch: one row for each call that added tasks. */
    "CREATE TABLE segments ("
    "  batch INTEGER NOT NULL,"
    "  first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL,"
    "  PRIMARY KEY (batch, first)"
    ") STRICT, WITHOUT ROWID;"

    /* What is to be run; never changes. The id is that of the task, or of the first element of an array. */
    "CREATE TABLE specs ("
    "  id INTEGER PRIMARY KEY,"
    "  context INTEGER NOT NULL,"
    "  has_fds INTEGER NOT NULL,"
    "  array_base INTEGER," /* index of the element with that id; NULL: no array */
    "  name TEXT NOT NULL,"
    "  tags TEXT,"
    "  argv BLOB NOT NULL"
    ") STRICT;"

    /* What becomes of it: small rows that keep their size while they go through their states, so that they are
     * overwritten in place. State 3 is a task that a worker holds: see assignments. */
    "CREATE TABLE tasks ("
    "  id INTEGER PRIMARY KEY,"
    "  spec INTEGER," /* NULL: the one with its own id */
    "  batch INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL DEFAULT 0,"
    "  lost INTEGER NOT NULL DEFAULT 0,"
    "  fence INTEGER NOT NULL DEFAULT 0,"
    "  since INTEGER NOT NULL," /* in this state; not kept while a worker holds it */
    "  reason TEXT"
    ") STRICT;"
    "CREATE INDEX tasks_ready ON tasks (uid, priority DESC) WHERE state = 2;"
    /* Held tasks are found through assignments, and those that succeeded are most of all. */
    "CREATE INDEX tasks_by_state ON tasks (state) WHERE state NOT IN (3, 5);"

    /* Elements of arrays that have no row in tasks: all those from first to last are in this state. An element that
     * is given to a worker leaves its range, which shrinks or breaks in two, and gets a row. Ranges never overlap;
     * the key is the end that stays while elements are taken from the front. */
    "CREATE TABLE ranges ("
    "  last INTEGER PRIMARY KEY,"
    "  first INTEGER NOT NULL,"
    "  spec INTEGER NOT NULL,"
    "  batch INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL,"
    "  since INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX ranges_ready ON ranges (uid, priority DESC) WHERE state = 2;"

    /* Tasks that a worker holds. */
    "CREATE TABLE assignments ("
    "  task INTEGER PRIMARY KEY,"
    "  worker INTEGER NOT NULL,"
    "  fence INTEGER NOT NULL,"
    "  batch INTEGER NOT NULL,"
    "  start INTEGER NOT NULL DEFAULT 0," /* 0: not known to have started */
    "  cancelled INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"

    /* Attempts that have ended. */
    "CREATE TABLE attempts ("
    "  task INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  worker INTEGER NOT NULL,"
    "  outcome INTEGER NOT NULL,"
    "  exit_status INTEGER NOT NULL,"
    "  signal INTEGER NOT NULL,"
    "  errno INTEGER NOT NULL,"
    "  start INTEGER NOT NULL,"
    "  finish INTEGER NOT NULL,"
    "  cpu_nsec INTEGER NOT NULL,"
    "  memory_peak INTEGER,"
    "  stderr_tail BLOB,"
    "  PRIMARY KEY (task, attempt)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE workers ("
    "  number INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  memory_max INTEGER, memory_high INTEGER, cpu_quota INTEGER, cpu_weight INTEGER NOT NULL, tasks_max INTEGER,"
    "  allowed_cpus TEXT,"
    "  slots INTEGER NOT NULL,"
    "  engine TEXT NOT NULL,"
    "  user INTEGER NOT NULL,"
    "  forced INTEGER NOT NULL,"
    "  environment BLOB,"
    "  state TEXT NOT NULL,"
    "  pid INTEGER NOT NULL,"
    "  start_time INTEGER NOT NULL,"
    "  unit TEXT,"
    "  control_group TEXT,"
    "  token BLOB NOT NULL,"
    "  added INTEGER NOT NULL,"
    "  done INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL"
    ") STRICT;";
