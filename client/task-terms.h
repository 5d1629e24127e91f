/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "model/task-demand.h"
#include "model/task-policy.h"

/* On what terms a task is run: its limits, its retries, when it may begin. They are given as words, by
 * options as by job files, and told to the daemon only where they are given: the rest is its
 * configuration's. */

typedef enum TermKey {
    TERM_PRIORITY,
    TERM_MEMORY,
    TERM_RETRY_MEMORY,
    TERM_CPUS,
    TERM_TASKS_MAX,
    TERM_IO_WEIGHT,
    TERM_GPUS,
    TERM_RESOURCE,
    TERM_RETRIES,
    TERM_BACKOFF,
    TERM_ON,
    TERM_TIMEOUT,
    TERM_SIGNAL,
    TERM_GRACE,
    TERM_WARN,
    TERM_OUTPUT_MAX,
    TERM_MERGE,
    TERM_QUEUE,
    TERM_WORKER_CLASS,
    TERM_CREDENTIAL,
    TERM_BEGIN,
    TERM_DELAY,
    TERM_HOLD,
    TERM_KEEP_UNSATISFIED,
    _TERM_KEY_MAX,
} TermKey;
DECLARE_STRING_TABLE(term_key, TermKey); /* as the long options are called */

typedef struct TaskTerms {
    uint32_t given; /* bits 1 << TermKey */
    TaskPolicy policy;
    TaskDemand demand; /* its resources are shared, never changed */
    GPtrArray *rules; /* char *: cause, action, cause, action, …; NULL: none */
    int32_t priority;
    uint64_t memory_max_bytes;
    char *queue, *class;
    GPtrArray *credentials;   /* char *: "NAME=/path"; NULL: none */
    uint64_t not_before_usec; /* CLOCK_REALTIME; 0: of --begin only a delay was given */
    uint64_t delay_usec;
    bool merge, hold, keep_unsatisfied;
} TaskTerms;

void task_terms_init(TaskTerms *terms);
void task_terms_done(TaskTerms *terms);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskTerms, task_terms_done)

/* Sets, or for on, credential and resource adds, what the word says. -EINVAL: it is of another form, see
 * task_term_form(). */
int task_terms_set(TaskTerms *terms, TermKey key, const char *word) _warn_unused_;
/* "a span of time such as 90s or 1h 30min"; for "--key takes …, not …". */
const char *task_term_form(TermKey key);
bool task_term_is_flag(TermKey key); /* takes "yes" and "no" */

/* 0, or -EINVAL with a sentence on what does not fit together or is out of its range. */
int task_terms_check(const TaskTerms *terms, char **ret_why) _warn_unused_;

/* The keys that go by several names in a message: what one task gives has to replace all of them. */
#define TERM_BITS_BEGIN (1U << TERM_BEGIN | 1U << TERM_DELAY)
#define TERM_BITS_JOINED (TERM_BITS_BEGIN | 1U << TERM_TIMEOUT | 1U << TERM_MEMORY)
#define TERM_BITS_ALL ((1U << _TERM_KEY_MAX) - 1)

/* Takes over what is given in the other and not here, of these keys (bits). */
void task_terms_merge(TaskTerms *terms, const TaskTerms *other, uint32_t keys);
/* Forgets these keys. */
void task_terms_drop(TaskTerms *terms, uint32_t keys);

/* Appends what is given as entries of an open a{sv}. */
int task_terms_append(const TaskTerms *terms, sd_bus_message *m);
/* About the bytes that takes; never less than it will. */
size_t task_terms_bytes(const TaskTerms *terms);
