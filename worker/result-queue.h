/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* Results on their way to the daemon. Each is kept until the group it was sent with is acknowledged;
 * groups are numbered from 1 by the sender. */
typedef struct ResultQueue ResultQueue;

ResultQueue *result_queue_new(void);
ResultQueue *result_queue_free(ResultQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ResultQueue, result_queue_free)

void result_queue_push(ResultQueue *queue, TaskResult *result); /* takes what the result owns */

size_t result_queue_length(const ResultQueue *queue);        /* not acknowledged */
size_t result_queue_unsent_length(const ResultQueue *queue); /* of them, not sent */

/* The unsent ones, oldest first: data are TaskResult. Valid until the next change. */
const GList *result_queue_unsent(const ResultQueue *queue);

void result_queue_sent(ResultQueue *queue, size_t n, uint64_t group); /* the oldest n unsent ones */
void result_queue_acknowledged(ResultQueue *queue, uint64_t group);
/* The connection is gone: all must be sent again, in their old order. */
void result_queue_unsend(ResultQueue *queue);
