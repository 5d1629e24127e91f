/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-row.h"

/* Dependencies. A gate is what a task, or all elements of an array, wait for; edges lead to it from those that they wait
 * for. What a condition is worth is always told by the state of the task or batch it looks at: nothing is remembered but how
 * many clauses are open. */

#define GATE_BY_ELEMENT 2 /* see gate_judge() */

#define TARGET_ELEMENTS 3 /* in edges: parent is the spec of an array, element by element */

/* What the gates of one submission have in common. */
typedef struct GateSite {
    Submission *submission;
    GArray *segments; /* IdRange: what the batch has, this call's ids included */
} GateSite;

/* Stores what the spec, which has been given its id, waits for. Where its tasks begin: blocked, queued (nothing is in the
 * way) or skipped. *ret_refusal: 0, or -EDOM, -ENOENT with a sentence in submission->refusal. */
int gate_insert(Database *database, const TaskSpec *spec, GateSite *site, TaskState *ret, int *ret_refusal)
    _warn_unused_;

/* blocked, queued or skipped, of all tasks of the spec; GATE_BY_ELEMENT: that is to be asked for each element. */
int gate_judge(Database *database, uint64_t spec, TaskState *ret) _warn_unused_;
/* conditions: of gate_load_conditions(), which is costly and the same for all elements; NULL: no gate. */
int gate_judge_element(Database *database, const StoredTask *element, const GArray *conditions, TaskState *ret)
    _warn_unused_;

int gate_has_inputs(Database *database, uint64_t spec, bool *ret) _warn_unused_;
/* As text; NULL: none. *ret_reason: why it was skipped, may be NULL. */
int gate_describe(Database *database, uint64_t spec, char **ret_conditions, char **ret_reason) _warn_unused_;

/* Conditions that do not hold; at most some. Dependency with the state of what it looks at. */
typedef struct OpenCondition {
    Dependency condition;
    bool impossible; /* it cannot come any more */
    char *state;     /* "task 12 is running" */
} OpenCondition;
int gate_list_open(Database *database, uint64_t spec, GArray *ret /* OpenCondition */, size_t *ret_n)
    _warn_unused_;
int gate_load_conditions(Database *database, uint64_t spec, GArray **ret /* Dependency; NULL: no gate */)
    _warn_unused_;

/* ---- consequences */
int gates_load_watched(Database *database) _warn_unused_;
int gates_on_ended(Database *database, IdRange ids) _warn_unused_;
int gates_on_started(Database *database, uint64_t task) _warn_unused_;
int gates_on_reopened(Database *database, IdRange ids) _warn_unused_;
int gates_on_batch(Database *database, uint64_t batch) _warn_unused_;

/* ---- what conditions are worth: see store-truth.c */
typedef enum Truth { TRUTH_NO, TRUTH_OPEN, TRUTH_YES } Truth;
int condition_truth(Database *database, const Dependency *condition, Truth *ret) _warn_unused_;
/* Of a task that has ended, or started, in that state. */
int task_truth(Database *database, const StoredTask *task, const Dependency *condition, Truth *ret)
    _warn_unused_;
/* What of the sums those who wait for the batch are told. */
unsigned batch_news(const BatchSums *sums);
Truth batch_truth(const BatchSums *sums, DependencyKind kind);
