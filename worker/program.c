/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A long-lived program that does tasks. Owned by its slot. One question is out at a time; whatever the
 * program does beside answering it once, in one line, ends its life, and at most the task at hand with
 * it. Nothing here waits for the program: its descriptors do not block, and its lines are bounded. The
 * slot is told of an answer only from the loop, never from within a call of the slot. */
#include "worker/program.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "model/limits.h"
#include "util/log.h"
#include "util/parse-util.h"
#include "worker/program-process.h"
#include "worker/program-protocol.h"

#define CHUNK_BYTES 65536U
#define LEAVE_USEC (5 * USEC_PER_SEC) /* so long it may take to end when its input is closed */
#define SILENCE_USEC USEC_PER_SEC     /* and to die when it has closed its output itself */
#define EARLY_USEC USEC_PER_SEC       /* who dies so soon dies at once */
#define EARLY_DEATHS_MAX 3U           /* in a row; then each start waits */
#define RESTART_LONGEST_USEC (60 * USEC_PER_SEC)

typedef enum ProgramState {
    PROGRAM_NONE,
    PROGRAM_IDLE,
    PROGRAM_BUSY,
    PROGRAM_LEAVING,
    PROGRAM_DYING
} ProgramState;

struct Program {
    Slot *slot;
    ProgramState state;
    ProgramProcess process;
    sd_event_source *in_source, *out_source, *err_source;
    sd_event_source
        *timer;           /* of BUSY: it is silent for good; of LEAVING: the grace; of NONE: the next start */
    GString *question;    /* what of it is not written yet; NULL: nothing */
    size_t question_size; /* all of it */
    GString *line;        /* what came of an answer */
    uint64_t started_usec; /* CLOCK_MONOTONIC */
    uint64_t last_task;    /* answered; 0: none */
    uint32_t tasks;        /* answered since it was started */
    uint32_t early_deaths; /* in a row, before any answer */
    bool waiting;          /* of NONE: until the timer */
    bool distrusted;       /* replaced after the task at hand */
    bool stopped;          /* for good */

    /* what it said of the task at hand */
    int exit_status;
    GBytes *result;
    char *note;
};

static uint64_t now_usec(void)
{
    return (uint64_t) g_get_monotonic_time();
}

static void program_set_timer(Program *program, uint64_t usec)
{
    (void) sd_event_source_set_time_relative(program->timer, usec);
    (void) sd_event_source_set_enabled(program->timer, SD_EVENT_ONESHOT);
}

static void program_close(Program *program)
{
    program->in_source = sd_event_source_disable_unref(program->in_source);
    program->out_source = sd_event_source_disable_unref(program->out_source);
    program->err_source = sd_event_source_disable_unref(program->err_source);
    program_process_close(&program->process);
    if (program->question)
        g_string_free(g_steal_pointer(&program->question), TRUE);
    g_string_truncate(program->line, 0);
}

/* From now on it is only killed. */
static void program_condemn(Program *program)
{
    program->state = PROGRAM_DYING;
    (void) sd_event_source_set_enabled(program->timer, SD_EVENT_OFF);
    program_close(program);
}

/* Its life has ended before it did anything: starts come more and more slowly. */
static void program_note_failure(Program *program)
{
    if (program->tasks == 0 && program->slot->ending == OUTCOME_NONE && !program->slot->killing)
        program->early_deaths++;
}

/* The task at hand fails for what the program did. */
static void program_fail_task(Program *program, char *note /* taken */)
{
    g_free(program->note);
    program->note = note;
    g_clear_pointer(&program->result, g_bytes_unref);
    program->exit_status = 1;
    program_note_failure(program);
    program_condemn(program);
}

/* ------------------------------------------------------------------ what it says */

static void write_output(Program *program, StdStream stream, const char *text, size_t size)
{
    const int *outputs = program->slot->outputs;
    int fd = outputs[stream] >= 0 ? outputs[stream] : outputs[STREAM_STDOUT];

    while (fd >= 0 && size > 0) {
        ssize_t n = write(fd, text, size);

        if (n <= 0)
            return;
        text += n;
        size -= (size_t) n;
    }
}

/* What it says between two tasks nobody has asked for. */
static bool program_read_errors(Program *program)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(program->process.err_fd, chunk, sizeof chunk);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        program->err_source = sd_event_source_disable_unref(program->err_source);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (program->slot->task)
        write_output(program, STREAM_STDERR, chunk, (size_t) n);
    return true;
}

/* What stands in its pipes, but not what somebody else fills them with for ever. */
static void program_drain(Program *program, bool (*read_some)(Program *program), const int *fd)
{
    for (uint64_t n = 0; n <= PROGRAM_LINE_BYTES_MAX / CHUNK_BYTES && *fd >= 0 && read_some(program); n++)
        continue;
}

static void program_accept(Program *program, ProgramAnswer *answer)
{
    program_drain(program, program_read_errors, &program->process.err_fd); /* it was said before */
    if (answer->output)
        write_output(program, STREAM_STDOUT, answer->output->str, answer->output->len);
    if (answer->errors)
        write_output(program, STREAM_STDERR, answer->errors->str, answer->errors->len);
    program->exit_status = answer->exit_status;
    program->result = g_steal_pointer(&answer->result);
    program->last_task = answer->task;
    program->tasks++;
    program->early_deaths = 0;
    program->state = PROGRAM_IDLE;
    (void) sd_event_source_set_enabled(program->timer, SD_EVENT_OFF);
}

/* One line while a task is at hand. */
static void program_take_line(Program *program, const char *line, size_t size)
{
    g_auto(ProgramAnswer) answer = { 0 };
    g_autofree char *why = NULL;

    if (program_answer_parse(line, size, &answer, &why) < 0)
        program_fail_task(program, g_strdup_printf("its program answered with %s", why));
    else if (answer.task == program->slot->task->id && !program->question)
        program_accept(program, &answer);
    else if (answer.task == program->slot->task->id)
        program_fail_task(program, g_strdup("its program answered before it had read the task"));
    else if (answer.task == program->last_task)
        program->distrusted = true; /* once more: that is not this task's fault */
    else
        program_fail_task(program, g_strdup_printf("its program answered for task %" PRIu64, answer.task));
}

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!g_ascii_isspace(line[i]))
            return false;
    return true;
}

/* Takes what has come apart into lines. */
static void program_take_lines(Program *program)
{
    GString *line = program->line;
    size_t begin = 0;
    char *newline;

    while (program->state == PROGRAM_BUSY && (newline = memchr(line->str + begin, '\n', line->len - begin))) {
        size_t end = (size_t) (newline - line->str);

        if (!is_blank(line->str + begin, end - begin))
            program_take_line(program, line->str + begin, end - begin);
        begin = end + 1;
    }
    if (program->state == PROGRAM_DYING)
        return;
    g_string_erase(line, 0, (gssize) begin);
    if (program->state == PROGRAM_IDLE && !is_blank(line->str, line->len))
        program_fail_task(program, g_strdup("its program said more than one answer"));
    else if (program->state == PROGRAM_BUSY && line->len > PROGRAM_LINE_BYTES_MAX) {
        g_autofree char *most = format_bytes(PROGRAM_LINE_BYTES_MAX);
        program_fail_task(program, g_strdup_printf("its program answered with a line over %s", most));
    }
}

static void program_talk_idly(Program *program, const char *text, size_t size)
{
    if (program->state != PROGRAM_IDLE || is_blank(text, size))
        return;
    log_warning("The program of slot %" PRIu32 " wrote %zu bytes without being asked; it is replaced.",
                program->slot->index, size);
    program_condemn(program);
}

/* One read. True: there may be more. */
static bool program_read_output(Program *program)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(program->process.out_fd, chunk, sizeof chunk);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        program->out_source = sd_event_source_disable_unref(program->out_source);
        if (program->state == PROGRAM_BUSY)
            program_set_timer(program, SILENCE_USEC);
        else if (program->state == PROGRAM_IDLE)
            program_condemn(program);
    }
    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (program->state == PROGRAM_BUSY) {
        g_string_append_len(program->line, chunk, n);
        program_take_lines(program);
    } else
        program_talk_idly(program, chunk, (size_t) n);
    return true;
}

static void program_look(Program *program)
{
    Slot *slot = program->slot;

    if (slot->state == SLOT_RUNNING && program->state != PROGRAM_BUSY) {
        if (program->state == PROGRAM_IDLE && (slot->ending != OUTCOME_NONE || slot->killing))
            program_condemn(program); /* it has been sent signals */
        slot_answered(slot, program->exit_status);
    }
    if (program->state != PROGRAM_BUSY)
        slot->site->attention(slot->site->attention_userdata);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    Program *program = userdata;

    (void) program_read_output(program);
    program_look(program);
    return 0;
}

static int on_errors(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void) program_read_errors(userdata);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    Program *program = userdata;

    if (program->state == PROGRAM_BUSY)
        program_fail_task(program, g_strdup("its program closed its input or output and did not answer"));
    else if (program->state == PROGRAM_LEAVING)
        program_condemn(program);
    program->waiting = false;
    program_look(program);
    return 0;
}

/* ------------------------------------------------------------------ what it is told */

static void program_write(Program *program)
{
    GString *question = program->question;
    ssize_t n = write(program->process.in_fd, question->str, question->len);

    if (n > 0)
        g_string_erase(question, 0, n);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        (void) sd_event_source_set_enabled(program->in_source, SD_EVENT_OFF);
        program_set_timer(program, SILENCE_USEC); /* most likely it is dead, and will soon be reaped */
        return;
    }
    (void) sd_event_source_set_enabled(program->in_source, question->len > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
    if (question->len == 0)
        g_string_free(g_steal_pointer(&program->question), TRUE);
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    Program *program = userdata;

    if (program->question)
        program_write(program);
    else
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

static int program_add_sources(Program *program)
{
    sd_event *event = program->slot->site->event;
    int r;

    r = sd_event_add_io(event, &program->out_source, program->process.out_fd, EPOLLIN, on_output, program);
    if (r >= 0)
        r = sd_event_add_io(event, &program->err_source, program->process.err_fd, EPOLLIN, on_errors,
                            program);
    if (r >= 0)
        r = sd_event_add_io(event, &program->in_source, program->process.in_fd, EPOLLOUT, on_input, program);
    return r < 0 ? r : sd_event_source_set_enabled(program->in_source, SD_EVENT_OFF);
}

static int program_start(Program *program)
{
    int r;

    r = program_process_start(program->slot, &program->process, &program->slot->trouble);
    if (r < 0)
        return r;
    program->slot->pid = program->process.pid;
    program->started_usec = now_usec();
    program->tasks = 0;
    program->last_task = 0;
    program->distrusted = false;
    r = program_add_sources(program);
    if (r < 0)
        program_condemn(program);
    return r;
}

int program_ask(Program *program)
{
    Slot *slot = program->slot;
    int r;

    program->exit_status = 0;
    g_clear_pointer(&program->note, g_free);
    g_clear_pointer(&program->result, g_bytes_unref);
    if (program->question)
        g_string_free(g_steal_pointer(&program->question), TRUE);
    r = program_process_question(slot, &program->question);
    if (r >= 0 && program->state == PROGRAM_NONE)
        r = program_start(program);
    if (r < 0)
        return r;
    program->question_size = program->question->len;
    slot->pid = program->process.pid;
    if (slot->leaf)
        leaf_cgroup_begin(slot->leaf);
    program->state = PROGRAM_BUSY;
    program_write(program);
    return 0;
}

/* ------------------------------------------------------------------ its end */

bool program_is_ready(const Program *program)
{
    return program->state == PROGRAM_IDLE || (program->state == PROGRAM_NONE && !program->waiting);
}

bool program_is_kept(const Program *program)
{
    return program->state == PROGRAM_IDLE || program->state == PROGRAM_LEAVING;
}

bool program_is_dying(const Program *program)
{
    return program->state == PROGRAM_DYING;
}

pid_t program_pid(const Program *program)
{
    return program->process.pid;
}

/* Did it die at once, and not for the first time? Then that is what the task is told. */
static void program_describe_death(Program *program)
{
    Slot *slot = program->slot;
    const SpawnReport *report = &slot->site->reports[slot->index];

    if (report->error) {
        g_free(slot->trouble);
        slot->trouble = program_process_describe_failure(slot);
        program->note = g_strdup(slot->trouble);
    } else if (program->early_deaths >= EARLY_DEATHS_MAX && now_usec() - program->started_usec < EARLY_USEC) {
        slot->error = ECHILD;
        program->note =
            g_strdup_printf("its program has died at once %" PRIu32 " times in a row", program->early_deaths);
    } else
        program->note = g_strdup("its program ended before it answered");
    if (WIFEXITED(slot->status) && WEXITSTATUS(slot->status) == 0)
        slot->status = 1 << 8; /* or it would be a success */
}

/* Did it die before it had read any of the task? Then the task has no part in that, if the program has
 * been good before. */
static bool is_unread(const Program *program)
{
    size_t written = program->question_size - (program->question ? program->question->len : 0);
    int in_pipe = 0;

    return program->tasks > 0 && program->slot->ending == OUTCOME_NONE && !program->slot->killing &&
           ioctl(program->process.in_fd, FIONREAD, &in_pipe) >= 0 && in_pipe >= 0 &&
           (size_t) in_pipe >= written;
}

bool program_ended(Program *program)
{
    Slot *slot = program->slot;

    program_drain(program, program_read_errors, &program->process.err_fd);
    program_drain(program, program_read_output, &program->process.out_fd);
    if (program->state == PROGRAM_BUSY && is_unread(program)) {
        program_condemn(program);
        return true;
    }
    if (program->state == PROGRAM_BUSY) {
        program_note_failure(program);
        program_condemn(program);
        if (slot->ending == OUTCOME_NONE)
            program_describe_death(program);
    } else {
        slot->status = program->exit_status << 8;
        program_condemn(program);
    }
    return false;
}

bool program_reaped(Program *program, pid_t pid)
{
    if (program->state == PROGRAM_NONE || program->process.pid != pid)
        return false;
    program_condemn(program); /* there may be others of it */
    return true;
}

void program_gone(Program *program)
{
    uint32_t excess;

    if (program->state != PROGRAM_DYING)
        return;
    program->state = PROGRAM_NONE;
    program->process.pid = 0;
    if (program->early_deaths < EARLY_DEATHS_MAX)
        return;
    excess = MIN(program->early_deaths - EARLY_DEATHS_MAX, 6);
    program->waiting = true;
    program_set_timer(program, MIN(USEC_PER_SEC << excess, RESTART_LONGEST_USEC));
}

void program_stop(Program *program)
{
    program->stopped = true;
    if (program->state == PROGRAM_IDLE || program->state == PROGRAM_LEAVING)
        program_condemn(program);
}

/* ------------------------------------------------------------------ the end of a task */

/* It has done enough: it may end by itself. */
static void program_retire(Program *program)
{
    program->state = PROGRAM_LEAVING;
    program->in_source = sd_event_source_disable_unref(program->in_source);
    program->process.in_fd = close_fd(program->process.in_fd);
    program_set_timer(program, LEAVE_USEC);
}

static void program_consider(Program *program)
{
    const LaunchRecord *record = program->slot->site->record;

    if (program->state != PROGRAM_IDLE)
        return;
    if (program->distrusted || program->stopped)
        program_condemn(program);
    else if ((record->recycle > 0 && program->tasks >= record->recycle) ||
             (record->recycle_memory_bytes != LIMIT_INFINITY &&
              program_process_memory(&program->process) > record->recycle_memory_bytes))
        program_retire(program);
}

static void program_give_result(Program *program, TaskResult *result)
{
    size_t size = program->result ? g_bytes_get_size(program->result) : 0;

    if (size > RESULT_BYTES_MAX) {
        g_autofree char *is = format_bytes(size), *most = format_bytes(RESULT_BYTES_MAX);
        g_free(program->note);
        program->note = g_strdup_printf("its result of %s is dropped; a task may leave %s", is, most);
    } else if (size > 0) {
        g_clear_pointer(&result->data, g_bytes_unref);
        result->data = g_bytes_ref(program->result);
    }
    g_clear_pointer(&program->result, g_bytes_unref);
    if (!result->note)
        result->note = g_steal_pointer(&program->note);
}

void program_collect(Program *program, TaskResult *result)
{
    program_give_result(program, result);
    program_consider(program);
}

/* ------------------------------------------------------------------ life */

Program *program_new(Slot *slot)
{
    Program *program = g_new0(Program, 1);
    int r;

    program->slot = slot;
    program->process = PROGRAM_PROCESS_NULL;
    program->line = g_string_new(NULL);
    r = sd_event_add_time_relative(slot->site->event, &program->timer, CLOCK_MONOTONIC, 0, 1000, on_timer,
                                   program);
    if (r < 0)
        g_error("Cannot make a timer: %s", g_strerror(-r)); /* as for memory */
    (void) sd_event_source_set_enabled(program->timer, SD_EVENT_OFF);
    return program;
}

Program *program_free(Program *program)
{
    if (!program)
        return NULL;
    program_close(program);
    sd_event_source_disable_unref(program->timer);
    g_string_free(program->line, TRUE);
    g_clear_pointer(&program->result, g_bytes_unref);
    g_free(program->note);
    g_free(program);
    return NULL;
}
