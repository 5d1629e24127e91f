/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cancel, Hold, Release, Retry, Edit, SetTaskLimits, Freeze and Thaw. All go the same way: the store is asked which tasks match and whose they are, polkit
 * if some are other users', and then it is done. After each answer the handler is run again from the top, with its arguments
 * read anew; what is known so far rests in the Call. */
#include "bus/bus-internal.h"
#include "util/parse-util.h"

/* One that is under way in the core. */
typedef struct Action {
    Answer *answer;
    TaskDeed deed; /* without the edit */
    char *queue;   /* that tasks are moved to, for the sentence; NULL */
} Action;

static const char *deed_name(const TaskDeed *deed)
{
    static const char *const names[] = {
        [TASK_HOLD] = "hold",
        [TASK_RELEASE] = "release",
        [TASK_RETRY] = "retry",
        [TASK_EDIT] = "change",
    };

    switch (deed->kind) {
    case DEED_CANCEL:
        return "cancellation";
    case DEED_MODIFY:
        return names[deed->action];
    case DEED_LIMIT:
        return "change of limits";
    case DEED_FREEZE:
        return deed->frozen ? "freezing" : "thawing";
    }
    g_assert_not_reached();
}

static void refuse_one(sd_bus_message *m, const TaskDeed *deed)
{
    static const char *const sentences[] = {
        [TASK_HOLD] = "The task does not wait: only what has not started can be held.",
        [TASK_RELEASE] = "The task is not held.",
        [TASK_RETRY] =
            "The task has not failed and was not cancelled or skipped: there is nothing to try again.",
        [TASK_EDIT] = "The task has started: only what waits can be changed.",
    };

    if (deed->kind == DEED_CANCEL)
        bus_error_reply(m, -EALREADY, "task");
    else
        (void) sd_bus_reply_method_errorf(m, PAREXEC_ERROR_INVALID_STATE, "%s", sentences[deed->action]);
}

/* No task stands still, or goes on. */
static void refuse_freezing(sd_bus_message *m, const TaskDeed *deed, int r)
{
    static const struct {
        int error;
        const char *name, *sentence;
    } refusals[] = {
        { EBUSY, PAREXEC_ERROR_INVALID_STATE,
          "The worker stands still with all its tasks; they go on when it does, which is an administrator's to say." },
        { EAGAIN, PAREXEC_ERROR_INVALID_STATE,
          "The machine is under pressure, and tasks stand still for that; they go on when it ends." },
        { ENOTCONN, PAREXEC_ERROR_INVALID_STATE,
          "The worker has ended, or has no connection at present; try again." },
        { EOPNOTSUPP, PAREXEC_ERROR_FAILED,
          "The worker could not do it: the task was about to end, or the kernel has no freezer here." },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++)
        if (refusals[i].error == -r) {
            (void) sd_bus_reply_method_errorf(m, refusals[i].name, "%s", refusals[i].sentence);
            return;
        }
    bus_error_reply(m, r, deed_name(deed));
}

static void on_acted(int r, uint64_t count, void *userdata)
{
    Action *action = userdata;
    g_autofree char *queue = action->queue;
    TaskDeed deed = action->deed;
    g_autoptr(sd_bus_message) m = answer_end(action->answer);

    g_free(action);
    if (r == -ENOKEY && queue) {
        g_autofree char *shown = format_foreign(queue);
        (void) sd_bus_reply_method_errorf(m, PAREXEC_ERROR_NO_SUCH_QUEUE, "There is no queue \"%s\".", shown);
    } else if (r < 0 && deed.kind == DEED_FREEZE)
        refuse_freezing(m, &deed, r);
    else if (r < 0)
        bus_error_reply(m, r, deed_name(&deed));
    else if (!deed.one)
        (void) sd_bus_reply_method_return(m, "u", (uint32_t) MIN(count, UINT32_MAX));
    else if (count == 0)
        refuse_one(m, &deed);
    else
        (void) sd_bus_reply_method_return(m, NULL);
}

/* Some keep the limits that they have. */
static void on_limited(int r, uint64_t count, const char *why, void *userdata)
{
    Action *action = userdata;

    if (r < 0 || !why) {
        on_acted(r, count, action);
        return;
    }
    g_autoptr(sd_bus_message) m = answer_end(action->answer);
    g_free(action->queue);
    g_free(action);
    g_autofree char *others =
        count > 0 ? g_strdup_printf("; %" PRIu64 " other%s changed", count, count == 1 ? " was" : "s were") : NULL;
    (void) sd_bus_reply_method_errorf(m, PAREXEC_ERROR_FAILED, "Not all limits were changed: %s%s.", why, others ?: "");
}

static void on_facts(int r, const FilterFacts *facts, void *userdata)
{
    Call *call = userdata;

    call->error = r;
    call->has_facts = true;
    if (r >= 0)
        call->facts = *facts;
    call_resume(call);
}

static TaskFilter *filter_copy(const TaskFilter *filter)
{
    TaskFilter *copy = task_filter_new();

    *copy = *filter;
    copy->ids = filter->ids ? g_array_ref(filter->ids) : NULL;
    copy->name = g_strdup(filter->name);
    copy->tag = g_strdup(filter->tag);
    return copy;
}

static int check_facts(const Call *call, const TaskFilter *filter, const TaskDeed *deed, sd_bus_error *error)
{
    if (call->error < 0)
        return bus_error_set(error, call->error, deed_name(deed));
    if (call->facts.missing_id > 0)
        return sd_bus_error_setf(error, PAREXEC_ERROR_NO_SUCH_TASK, "There is no task %" G_GUINT64_FORMAT ".",
                                 call->facts.missing_id);
    if (call->facts.missing_batch)
        return sd_bus_error_setf(error, PAREXEC_ERROR_NO_SUCH_BATCH,
                                 "There is no batch %" G_GUINT64_FORMAT ".", filter->batch);
    return 0;
}

/* Tasks of others that it would change. Only Retry is about tasks that have ended. */
static uint64_t count_foreign(const FilterFacts *facts, const TaskDeed *deed)
{
    return deed->kind == DEED_MODIFY && deed->action == TASK_RETRY ? facts->foreign_ended : facts->foreign;
}

/* 1: go on. 0: polkit is being asked. */
static int check_owners(Bus *bus, Call *call, const Peer *peer, uint64_t foreign, const TaskDeed *deed,
                        sd_bus_error *error)
{
    if (foreign == 0 || peer->uid == 0)
        return 1;
    /* what runs as another user is that user's to say: nobody gets at another's rights by way of the queue */
    if (deed->edit && deed->edit->argv)
        return sd_bus_error_setf(error, PAREXEC_ERROR_NOT_AUTHORIZED,
                                 "The command of a task is its owner's to change; %" G_GUINT64_FORMAT
                                 " of these tasks %s another user's.",
                                 foreign, foreign == 1 ? "is" : "are");
    return authorize(bus->calls, call->m, peer, PAREXEC_ACTION_MANAGE_TASKS, bus->options.user_mode, error);
}

static void act(Bus *bus, sd_bus_message *m, TaskFilter *filter, uint32_t only, TaskDeed deed)
{
    Action *action = g_new0(Action, 1);
    TaskEdit *edit = g_steal_pointer(&deed.edit);

    action->answer = answer_new(bus, m);
    action->deed = deed;
    action->queue = edit ? g_strdup(edit->queue) : NULL;
    switch (deed.kind) {
    case DEED_CANCEL:
        manager_cancel(bus->manager, filter, only, on_acted, action);
        break;
    case DEED_MODIFY:
        manager_modify(bus->manager, filter, only, deed.action, edit, on_acted, action);
        break;
    case DEED_LIMIT:
        manager_set_task_limits(bus->manager, filter, only, &deed.limits, on_limited, action);
        break;
    case DEED_FREEZE:
        manager_freeze_tasks(bus->manager, filter, only, deed.frozen, deed.reclaim, on_acted, action);
        break;
    }
}

int task_action_run(Bus *bus, sd_bus_message *m, TaskFilter *filter, TaskDeed deed, sd_bus_error *error)
{
    g_autoptr(TaskFilter) taken = filter;
    g_autoptr(TaskEdit) edit = deed.edit;
    Peer *peer;
    int r = bus_check(bus, m, NULL, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    Call *call = call_of(bus->calls, m);
    if (!call->has_facts) {
        StorePort *store = manager_store(bus->manager);
        store->examine(store, filter_copy(taken), peer->uid, on_facts, call);
        return 1;
    }
    uint64_t foreign = count_foreign(&call->facts, &deed);
    r = check_facts(call, taken, &deed, error);
    if (r >= 0)
        r = check_owners(bus, call, peer, foreign, &deed, error);
    if (r < 0)
        call_done(bus->calls, m);
    if (r <= 0)
        return r < 0 ? r : 1;
    edit = NULL; /* it goes on with the deed */
    bool all = foreign > 0 || peer->uid == 0 || (bus->options.user_mode && peer->uid == geteuid());
    act(bus, m, g_steal_pointer(&taken), all ? UID_ANYBODY : peer->uid, deed);
    return 1;
}
