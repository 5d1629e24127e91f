/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model of the queue that the store is compared with. Slow, and as plain as can be: a state is what the definitions of
 * dependencies, times and queues make of it. No trick of the store is repeated here. */
#include "tests/unit/store/queue-model.h"

typedef enum Worth { WORTH_NO, WORTH_OPEN, WORTH_YES } Worth;

static void gate_free(gpointer data)
{
    g_array_unref(((ModelGate *) data)->conditions);
    g_free(data);
}

static void lane_clear(gpointer data)
{
    g_free(((ModelLane *) data)->name);
}

Model *model_new(void)
{
    Model *m = g_new0(Model, 1);

    m->tasks = g_ptr_array_new_with_free_func(g_free);
    m->batches = g_ptr_array_new_with_free_func(g_free);
    m->gates = g_ptr_array_new_with_free_func(gate_free);
    m->queues = g_array_new(FALSE, TRUE, sizeof(ModelLane));
    m->lanes = g_array_new(FALSE, TRUE, sizeof(ModelLane));
    g_array_set_clear_func(m->queues, lane_clear);
    g_array_set_clear_func(m->lanes, lane_clear);
    return m;
}

static GArray *lanes_copy(const GArray *lanes)
{
    GArray *copy = g_array_new(FALSE, TRUE, sizeof(ModelLane));

    g_array_set_clear_func(copy, lane_clear);
    g_array_append_vals(copy, lanes->data, lanes->len);
    for (guint i = 0; i < copy->len; i++)
        g_array_index(copy, ModelLane, i).name = g_strdup(g_array_index(lanes, ModelLane, i).name);
    return copy;
}

static gpointer copy_task(gconstpointer task, gpointer userdata)
{
    return g_memdup2(task, sizeof(ModelTask));
}

static gpointer copy_batch(gconstpointer batch, gpointer userdata)
{
    return g_memdup2(batch, sizeof(ModelBatch));
}

Model *model_copy(const Model *m)
{
    Model *copy = g_new0(Model, 1);

    copy->tasks = g_ptr_array_copy(m->tasks, copy_task, NULL);
    copy->batches = g_ptr_array_copy(m->batches, copy_batch, NULL);
    copy->gates = g_ptr_array_ref(m->gates);
    copy->queues = lanes_copy(m->queues);
    copy->lanes = lanes_copy(m->lanes);
    copy->time = m->time;
    return copy;
}

void model_free(Model *m)
{
    g_ptr_array_unref(m->tasks);
    g_ptr_array_unref(m->batches);
    g_ptr_array_unref(m->gates);
    g_array_unref(m->queues);
    g_array_unref(m->lanes);
    g_free(m);
}

ModelTask *model_task(const Model *m, uint64_t id)
{
    return m->tasks->pdata[id - 1];
}

ModelBatch *model_batch(const Model *m, uint64_t id)
{
    return m->batches->pdata[id - 1];
}

bool model_is_visible(const Model *m, const ModelTask *task)
{
    return model_batch(m, task->batch)->phase == MODEL_COMMITTED;
}

static bool has_ended(const ModelTask *task)
{
    return task->state != MODEL_GATED && task_state_is_end((TaskState) task->state);
}

bool model_is_live(const Model *m, const ModelTask *task)
{
    return model_is_visible(m, task) && !has_ended(task);
}

uint64_t model_batch_count(const Model *m, uint64_t batch, int state)
{
    uint64_t n = 0;

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        n += task->batch == batch && (state < 0 || task->state == state);
    }
    return n;
}

/* ------------------------------------------------------------------ what conditions are worth */

static bool has_begun(const ModelTask *task)
{
    return task->attempts > 0 || task->state == TASK_RUNNING || has_ended(task);
}

static Worth worth_of_end(const ModelTask *task, const Dependency *condition)
{
    bool succeeded = task->state == TASK_SUCCEEDED;

    switch (condition->kind) {
    case DEPENDENCY_AFTER_OK:
    case DEPENDENCY_AFTER_CORR:
        return succeeded ? WORTH_YES : WORTH_NO;
    case DEPENDENCY_AFTER_NOT_OK:
        return succeeded ? WORTH_NO : WORTH_YES;
    case DEPENDENCY_AFTER_ANY:
    case DEPENDENCY_AFTER:
        return WORTH_YES;
    case DEPENDENCY_EXIT:
        return task->outcome == OUTCOME_EXITED && task->status == condition->status ? WORTH_YES : WORTH_NO;
    case DEPENDENCY_OOM:
        return task->outcome == OUTCOME_OOM ? WORTH_YES : WORTH_NO;
    case DEPENDENCY_TIMEOUT:
        return task->outcome == OUTCOME_TIMEOUT ? WORTH_YES : WORTH_NO;
    case _DEPENDENCY_KIND_MAX:
        break;
    }
    g_assert_not_reached();
}

static Worth worth_of_task(const Model *m, const Dependency *condition, uint64_t id)
{
    const ModelTask *task = model_task(m, id);

    if (model_batch(m, task->batch)->phase == MODEL_OPEN)
        return WORTH_OPEN;
    if (has_ended(task))
        return worth_of_end(task, condition);
    return condition->kind == DEPENDENCY_AFTER && has_begun(task) ? WORTH_YES : WORTH_OPEN;
}

static Worth worth_of_batch(const Model *m, const Dependency *condition)
{
    bool begun = true, ended = true, bad = false;

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        if (task->batch != condition->id)
            continue;
        begun &= has_begun(task);
        ended &= has_ended(task);
        bad |= has_ended(task) && task->state != TASK_SUCCEEDED;
    }
    if (condition->kind == DEPENDENCY_AFTER)
        return begun ? WORTH_YES : WORTH_OPEN;
    if (condition->kind == DEPENDENCY_AFTER_OK && bad)
        return WORTH_NO;
    if (!ended)
        return WORTH_OPEN;
    return condition->kind == DEPENDENCY_AFTER_NOT_OK && !bad ? WORTH_NO : WORTH_YES;
}

/* All clauses but those by element, or (element) only those, once the others hold. */
static Worth worth_of_clauses(const Model *m, const ModelTask *task, bool by_element)
{
    const GArray *conditions = task->gate->conditions;
    Worth all = WORTH_YES;

    for (guint i = 0; i < conditions->len;) {
        uint32_t clause = g_array_index(conditions, Dependency, i).clause;
        Worth best = WORTH_NO;
        for (; i < conditions->len && g_array_index(conditions, Dependency, i).clause == clause; i++) {
            const Dependency *condition = &g_array_index(conditions, Dependency, i);
            Worth worth = WORTH_YES;
            if ((condition->kind == DEPENDENCY_AFTER_CORR) == by_element)
                worth = condition->target == TARGET_BATCH
                            ? worth_of_batch(m, condition)
                            : worth_of_task(m, condition,
                                            condition->id + (by_element ? task->id - task->gate->first : 0));
            best = MAX(best, worth);
        }
        all = MIN(all, best);
    }
    return all;
}

/* Elements are looked at one by one when what the whole array waits for is there. */
static Worth worth_of_gate(const Model *m, const ModelTask *task)
{
    Worth worth = task->gate ? worth_of_clauses(m, task, false) : WORTH_YES;

    return task->gate && worth == WORTH_YES ? worth_of_clauses(m, task, true) : worth;
}

/* ------------------------------------------------------------------ steps */

void model_begin_step(Model *m)
{
    for (guint i = 0; i < m->tasks->len; i++) {
        ModelTask *task = m->tasks->pdata[i];
        task->before = model_is_visible(m, task) ? task->state : -1;
        task->quiet = false;
    }
    for (guint i = 0; i < m->batches->len; i++) {
        ModelBatch *batch = m->batches->pdata[i];
        batch->ended_before = batch->ended;
        batch->halts = false;
    }
}

bool model_may_go_on(const Model *m, const ModelTask *task)
{
    return worth_of_gate(m, task) == WORTH_YES;
}

void model_go_on(ModelTask *task)
{
    task->state = task->due > 0                       ? (int) TASK_WAITING
                  : task->queue > 0 || task->lane > 0 ? MODEL_GATED
                                                      : (int) TASK_QUEUED;
}

/* By what concerns the array as a whole. */
static bool is_closed(const Model *m, const ModelTask *task)
{
    return task->gate && !task->gate->keep && worth_of_clauses(m, task, false) == WORTH_NO;
}

static bool is_impossible(const Model *m, const ModelTask *task)
{
    if (task->state == TASK_HELD)
        return is_closed(m, task);
    return task->gate && !task->gate->keep && worth_of_gate(m, task) == WORTH_NO;
}

static bool goes_by_elements(const ModelTask *task)
{
    for (guint i = 0; task->gate && i < task->gate->conditions->len; i++)
        if (g_array_index(task->gate->conditions, Dependency, i).kind == DEPENDENCY_AFTER_CORR)
            return true;
    return false;
}

/* One task to where it belongs; is that another place? Those that are not committed move, too. */
static bool settle_task(Model *m, ModelTask *task)
{
    ModelPhase phase = model_batch(m, task->batch)->phase;
    bool waits = task->state == TASK_BLOCKED || task->state == TASK_HELD;

    /* elements of what is not committed are not looked at one by one: as if they were held */
    bool impossible =
        phase == MODEL_OPEN && goes_by_elements(task) ? is_closed(m, task) : is_impossible(m, task);

    if (phase == MODEL_GONE)
        return false;
    if (waits && impossible) {
        task->state = TASK_SKIPPED;
        return true;
    }
    if (task->state == TASK_SKIPPED && !impossible) {
        task->state = TASK_BLOCKED;
        return true;
    }
    if (task->state == TASK_BLOCKED && worth_of_gate(m, task) == WORTH_YES &&
        (phase == MODEL_COMMITTED || !goes_by_elements(task))) {
        model_go_on(task);
        return true;
    }
    return false;
}

static uint64_t count_active(const Model *m, guint queue, guint lane)
{
    uint64_t n = 0;

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        n += ((queue > 0 && task->queue == queue) || (lane > 0 && task->lane == lane)) &&
             model_is_visible(m, task) && (task->taken || task->state == TASK_QUEUED);
    }
    return n;
}

static bool has_room(const Model *m, const ModelTask *task)
{
    const ModelLane *queue = task->queue > 0 ? &g_array_index(m->queues, ModelLane, task->queue - 1) : NULL;
    const ModelLane *lane = task->lane > 0 ? &g_array_index(m->lanes, ModelLane, task->lane - 1) : NULL;

    if (queue && !queue->gone && queue->parallel > 0 && count_active(m, task->queue, 0) >= queue->parallel)
        return false;
    return !lane || count_active(m, 0, task->lane) < lane->parallel;
}

static int by_urgency(const ModelTask *a, const ModelTask *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

/* The most urgent of those that there is room for. */
static ModelTask *next_gated(const Model *m)
{
    ModelTask *best = NULL;

    for (guint i = 0; i < m->tasks->len; i++) {
        ModelTask *task = m->tasks->pdata[i];
        if (task->state == MODEL_GATED && model_is_visible(m, task) && has_room(m, task) &&
            (!best || by_urgency(task, best) < 0))
            best = task;
    }
    return best;
}

static void settle_batch(Model *m, uint64_t id)
{
    ModelBatch *batch = model_batch(m, id);
    bool ended = batch->phase == MODEL_COMMITTED;

    for (guint i = 0; ended && i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        ended = task->batch != id || has_ended(task);
    }
    batch->ended = ended;
    if (batch->phase == MODEL_COMMITTED && !ended && !batch->halted)
        batch->halted = batch->halts = model_batch_count(m, id, TASK_FAILED) >= batch->max_fails;
}

void model_settle(Model *m)
{
    ModelTask *task;
    bool again;

    do {
        again = false;
        for (guint i = 0; i < m->tasks->len; i++) {
            task = m->tasks->pdata[i];
            again |= settle_task(m, task);
        }
    } while (again);
    while ((task = next_gated(m)))
        task->state = TASK_QUEUED;
}

void model_settle_batches(Model *m)
{
    for (guint i = 0; i < m->batches->len; i++)
        settle_batch(m, i + 1);
}

static bool looks_at_batch(const Model *m, const Dependency *condition, uint64_t batch)
{
    return condition->target == TARGET_BATCH ? condition->id == batch
                                             : model_task(m, condition->id)->batch == batch;
}

const ModelTask *model_waits_for_batch(const Model *m, uint64_t batch)
{
    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        bool waits = task->state == TASK_BLOCKED || task->state == TASK_HELD;
        if (!task->gate || !waits || model_batch(m, task->batch)->phase == MODEL_GONE)
            continue;
        for (guint k = 0; k < task->gate->conditions->len; k++) {
            const Dependency *condition = &g_array_index(task->gate->conditions, Dependency, k);
            bool by_element = condition->kind == DEPENDENCY_AFTER_CORR;
            if (looks_at_batch(m, condition, batch) &&
                (by_element ? worth_of_gate(m, task) : worth_of_clauses(m, task, false)) == WORTH_OPEN)
                return task;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------ what is to be seen */

char *model_states(const Model *m)
{
    static const char letters[] = "hbqrwSFCK";
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        if (model_is_visible(m, task))
            g_string_append_printf(text, "%" G_GUINT64_FORMAT "%c ", task->id,
                                   task->state == MODEL_GATED ? 'q' : letters[task->state]);
    }
    return g_string_free(text, FALSE);
}

static int compare_urgency(gconstpointer a, gconstpointer b)
{
    return by_urgency(*(ModelTask *const *) a, *(ModelTask *const *) b);
}

char *model_window(const Model *m)
{
    g_autoptr(GPtrArray) ready = g_ptr_array_new();
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < m->tasks->len; i++) {
        ModelTask *task = m->tasks->pdata[i];
        if (model_is_visible(m, task) && task->state == TASK_QUEUED && !task->taken)
            g_ptr_array_add(ready, task);
    }
    g_ptr_array_sort(ready, compare_urgency);
    for (guint i = 0; i < ready->len; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "",
                               ((ModelTask *) ready->pdata[i])->id);
    return g_string_free(text, FALSE);
}

char *model_queues(const Model *m)
{
    GString *text = g_string_new(NULL);

    for (guint q = 1; q <= m->queues->len; q++) {
        const ModelLane *queue = &g_array_index(m->queues, ModelLane, q - 1);
        uint64_t gated = 0;
        if (queue->gone)
            continue;
        for (guint i = 0; i < m->tasks->len; i++) {
            const ModelTask *task = m->tasks->pdata[i];
            gated += task->queue == q && model_is_visible(m, task) && task->state == MODEL_GATED;
        }
        g_string_append_printf(text, "%s%s %u: %" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT,
                               text->len > 0 ? "; " : "", queue->name, queue->parallel, count_active(m, q, 0),
                               gated);
    }
    return g_string_free(text, FALSE);
}

bool model_is_due(const Model *m, bool wall, uint64_t due)
{
    uint64_t next = UINT64_MAX;

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        bool gone = model_batch(m, task->batch)->phase == MODEL_GONE;
        if (task->due == 0 || task->wall != wall)
            continue;
        if (gone && task->due == due)
            return true;
        next = gone ? next : MIN(next, task->due);
    }
    return next == due;
}
