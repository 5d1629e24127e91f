/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/limits.h"

/* What an attempt takes of its worker beside memory, and how much memory the next one gets. The limits hold for the task's own
 * cgroup. Part of a TaskContext. */

#define MEMORY_STEPS_MAX 16U
#define MEMORY_FACTOR_MAX 64.0
#define RESOURCES_MAX 16U

/* A named thing that is counted: licences, tape drives. */
typedef struct Resource {
    char *name; /* letters, digits, ".", "_", "-"; at most 64 */
    uint32_t count;
} Resource;

GArray *resources_new(void); /* of Resource, whose names it frees */
/* "licence=3,tape=1", sorted by name; -EINVAL with a sentence. "" gives an empty array. */
int resources_parse(const char *text, GArray **ret, char **ret_why) _warn_unused_;
char *resources_format(const GArray *resources /* NULL: none */);
uint32_t resources_count(const GArray *resources /* NULL: none */, const char *name); /* 0: there is none */

/* "2", or "2?": as many as there are, up to two. */
int gpus_parse(const char *text, uint32_t *ret_n, bool *ret_optional) _warn_unused_;

typedef struct TaskDemand {
    uint64_t cpu_quota_usec_per_sec; /* LIMIT_INFINITY: none */
    uint64_t tasks_max;              /* processes and threads; LIMIT_INFINITY: none */
    uint32_t io_weight;              /* 1…10000; 0: the kernel's default (100) */
    bool memory_auto;                /* the limit comes from what tasks of its class took before */
    double memory_factor;            /* after "oom" the next attempt gets so many times as much; 0: no more than before */
    uint64_t memory_steps[MEMORY_STEPS_MAX]; /* or the next of these; ascending */
    uint32_t n_memory_steps;
    uint32_t gpus;
    bool gpus_optional; /* as many as there are, up to gpus: none is enough */
    GArray *resources;  /* Resource; NULL: none */
} TaskDemand;

void task_demand_init(TaskDemand *demand); /* nothing */
void task_demand_done(TaskDemand *demand);
void task_demand_copy(TaskDemand *to, const TaskDemand *from); /* into an initialised one */
bool task_demand_equal(const TaskDemand *a, const TaskDemand *b);

/* 0, or -EINVAL with a sentence on what is out of its range. */
int task_demand_check(const TaskDemand *demand, char **ret_why) _warn_unused_;

/* 0, or -EINVAL with a sentence: what it says of retry-memory can do nothing for a task with this limit. */
int task_demand_check_growth(const TaskDemand *demand, uint64_t memory_max_bytes, char **ret_why) _warn_unused_;

/* Words "key=value", as of task_policy_to_text(): both are kept in one line, and each passes over the other's words. "" for
 * the default. */
char *task_demand_to_text(const TaskDemand *demand);
int task_demand_from_text(const char *text, TaskDemand *demand /* initialised */) _warn_unused_;

/* "2x" or "4G,8G,16G" → the factor or the steps; -EINVAL with a sentence. */
int task_demand_parse_retry_memory(const char *text, TaskDemand *demand, char **ret_why) _warn_unused_;
