/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results on their way to the daemon. Owned by the runner. Two lists, both oldest first: what was sent and
 * is not yet acknowledged, and what waits to be sent. */
#include "worker/result-queue.h"

typedef struct QueuedResult {
    TaskResult result; /* first: lists of these are read as lists of results */
    uint64_t group;
} QueuedResult;

struct ResultQueue {
    GQueue sent, unsent;
};

ResultQueue *result_queue_new(void)
{
    ResultQueue *queue = g_new(ResultQueue, 1);

    g_queue_init(&queue->sent);
    g_queue_init(&queue->unsent);
    return queue;
}

static void queued_free(void *data)
{
    QueuedResult *queued = data;

    task_result_done(&queued->result);
    g_free(queued);
}

ResultQueue *result_queue_free(ResultQueue *queue)
{
    if (!queue)
        return NULL;
    g_queue_clear_full(&queue->sent, queued_free);
    g_queue_clear_full(&queue->unsent, queued_free);
    g_free(queue);
    return NULL;
}

void result_queue_push(ResultQueue *queue, TaskResult *result)
{
    QueuedResult *queued = g_new0(QueuedResult, 1);

    queued->result = *result;
    result->stderr_tail = result->data = NULL;
    result->note = NULL;
    g_queue_push_tail(&queue->unsent, queued);
}

size_t result_queue_length(const ResultQueue *queue)
{
    return queue->sent.length + queue->unsent.length;
}

size_t result_queue_unsent_length(const ResultQueue *queue)
{
    return queue->unsent.length;
}

const GList *result_queue_unsent(const ResultQueue *queue)
{
    return queue->unsent.head;
}

void result_queue_sent(ResultQueue *queue, size_t n, uint64_t group)
{
    for (; n > 0; n--) {
        GList *link = g_queue_pop_head_link(&queue->unsent);

        ((QueuedResult *) link->data)->group = group;
        g_queue_push_tail_link(&queue->sent, link);
    }
}

void result_queue_acknowledged(ResultQueue *queue, uint64_t group)
{
    GList *next;

    for (GList *link = queue->sent.head; link; link = next) {
        next = link->next;
        if (((QueuedResult *) link->data)->group != group)
            continue;
        queued_free(link->data);
        g_queue_delete_link(&queue->sent, link);
    }
}

void result_queue_unsend(ResultQueue *queue)
{
    GList *link;

    while ((link = g_queue_pop_tail_link(&queue->sent)))
        g_queue_push_head_link(&queue->unsent, link);
}
