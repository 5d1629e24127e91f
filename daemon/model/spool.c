/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text form of results that no daemon has fetched. */
#include "model/spool.h"

#include <limits.h>
#include <string.h>

#include "util/parse-util.h"

bool result_note_valid(const char *note)
{
    if (strlen(note) > NOTE_BYTES_MAX || !g_utf8_validate(note, -1, NULL))
        return false;
    for (const char *at = note; *at; at = g_utf8_next_char(at))
        if (g_unichar_iscntrl(g_utf8_get_char(at)))
            return false;
    return true;
}

char *result_note_clean(const char *text)
{
    g_autofree char *note = g_utf8_make_valid(text, -1);

    for (char *at = note; *at; at = g_utf8_next_char(at))
        if (g_ascii_iscntrl(*at))
            *at = ' ';
        else if (g_unichar_iscntrl(g_utf8_get_char(at)))
            at[0] = at[1] = '?'; /* the C1 controls, of two bytes */
    if (strlen(note) > NOTE_BYTES_MAX)
        *g_utf8_find_prev_char(note, note + NOTE_BYTES_MAX + 1) = '\0';
    return g_steal_pointer(&note);
}

void result_add_note(TaskResult *result, const char *text)
{
    g_autofree char *both = result->note ? g_strconcat(result->note, "; ", text, NULL) : g_strdup(text);

    g_free(result->note);
    result->note = result_note_clean(both);
}

bool output_place_valid(uint64_t offset, uint64_t size)
{
    return offset <= INT64_MAX && size <= (uint64_t) INT64_MAX - offset;
}

static void append_base64(GString *text, const char *key, const void *data, size_t size)
{
    g_autofree char *encoded = g_base64_encode(data, size);

    g_string_append_printf(text, " %s=%s", key, encoded);
}

static void append_bytes(GString *text, const char *key, GBytes *bytes)
{
    if (bytes)
        append_base64(text, key, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

static void append_pair(GString *text, const char *key, uint64_t a, uint64_t b)
{
    g_string_append_printf(text, " %s=%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT, key, a, b);
}

static void append_further(GString *text, const TaskResult *result)
{
    const uint64_t *dropped = result->dropped_bytes;

    append_bytes(text, "data", result->data);
    append_bytes(text, "tail", result->stderr_tail);
    if (result->note && *result->note) {
        g_autofree char *note = result_note_clean(result->note);
        append_base64(text, "note", note, strlen(note));
    }
    if (result->outcome == OUTCOME_OOM)
        g_string_append_printf(text, " oom=%s", oom_cause_to_string(result->oom_cause));
    if (dropped[STREAM_STDOUT] > 0 || dropped[STREAM_STDERR] > 0)
        append_pair(text, "dropped", dropped[STREAM_STDOUT], dropped[STREAM_STDERR]);
    for (StdStream i = STREAM_STDOUT; i <= STREAM_STDERR; i++)
        if (result->places[i].packed)
            append_pair(text, std_stream_to_string(i), result->places[i].offset, result->places[i].size);
}

void spool_append_line(GString *text, const TaskResult *result)
{
    g_string_append_printf(text,
                           "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s %d %d %d %" G_GUINT64_FORMAT
                           " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
                           result->task, result->fence, outcome_to_string(result->outcome),
                           result->exit_status, result->signal, result->error, result->start_usec,
                           result->end_usec, result->cpu_nsec, result->memory_peak_bytes);
    append_further(text, result);
    g_string_append_c(text, '\n');
}

enum {
    WORD_TASK,
    WORD_FENCE,
    WORD_OUTCOME,
    WORD_STATUS,
    WORD_SIGNAL,
    WORD_ERRNO,
    WORD_START,
    WORD_END,
    WORD_CPU,
    WORD_PEAK,
    N_WORDS
};

static int parse_int(const char *word, int *ret)
{
    uint64_t number;

    if (parse_uint64(word, &number) < 0 || number > INT_MAX)
        return -EINVAL;
    *ret = (int) number;
    return 0;
}

static int parse_base64(const char *word, size_t size_max, GBytes **ret)
{
    g_autofree guchar *data = NULL;
    gsize size;

    if (strlen(word) > (size_max + 2) / 3 * 4)
        return -EINVAL;
    data = g_base64_decode(word, &size);
    if (size == 0 || size > size_max)
        return -EINVAL;
    g_clear_pointer(ret, g_bytes_unref);
    *ret = g_bytes_new_take(g_steal_pointer(&data), size);
    return 0;
}

static int parse_note(const char *word, char **ret)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autofree char *note = NULL;

    if (parse_base64(word, NOTE_BYTES_MAX, &bytes) < 0)
        return -EINVAL;
    note = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    if (!result_note_valid(note))
        return -EINVAL;
    g_free(*ret);
    *ret = g_steal_pointer(&note);
    return 0;
}

static int parse_pair(const char *word, uint64_t *ret_a, uint64_t *ret_b)
{
    g_auto(GStrv) numbers = g_strsplit(word, ",", 3);

    if (g_strv_length(numbers) != 2 || parse_uint64(numbers[0], ret_a) < 0)
        return -EINVAL;
    return parse_uint64(numbers[1], ret_b);
}

static int parse_place(const char *word, OutputPlace *ret)
{
    OutputPlace place = { .packed = true };

    if (parse_pair(word, &place.offset, &place.size) < 0 || !output_place_valid(place.offset, place.size))
        return -EINVAL;
    *ret = place;
    return 0;
}

static int parse_oom(const char *word, OomCause *ret)
{
    int cause = oom_cause_from_string(word);

    if (cause < 0)
        return -EINVAL;
    *ret = (OomCause) cause;
    return 0;
}

static int parse_further(const char *word, TaskResult *result)
{
    g_auto(GStrv) pair = g_strsplit(word, "=", 2);
    const char *key = pair[0], *value = key ? pair[1] : NULL;

    if (!value)
        return -EINVAL;
    if (strcmp(key, "data") == 0)
        return parse_base64(value, RESULT_BYTES_MAX, &result->data);
    if (strcmp(key, "tail") == 0)
        return parse_base64(value, STDERR_TAIL_BYTES_MAX, &result->stderr_tail);
    if (strcmp(key, "note") == 0)
        return parse_note(value, &result->note);
    if (strcmp(key, "dropped") == 0)
        return parse_pair(value, &result->dropped_bytes[STREAM_STDOUT],
                          &result->dropped_bytes[STREAM_STDERR]);
    if (strcmp(key, "stdout") == 0)
        return parse_place(value, &result->places[STREAM_STDOUT]);
    if (strcmp(key, "stderr") == 0)
        return parse_place(value, &result->places[STREAM_STDERR]);
    if (strcmp(key, "oom") == 0)
        return parse_oom(value, &result->oom_cause);
    return 0;
}

int spool_parse_line(const char *line, TaskResult *ret)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    TaskResult result = { 0 };
    int r = 0;

    if (g_strv_length(words) < N_WORDS)
        return -EINVAL;
    int outcome = outcome_from_string(words[WORD_OUTCOME]);
    if (outcome <= OUTCOME_NONE || parse_uint64(words[WORD_TASK], &result.task) < 0 ||
        parse_uint64(words[WORD_FENCE], &result.fence) < 0 ||
        parse_int(words[WORD_STATUS], &result.exit_status) < 0 ||
        parse_int(words[WORD_SIGNAL], &result.signal) < 0 ||
        parse_int(words[WORD_ERRNO], &result.error) < 0 ||
        parse_uint64(words[WORD_START], &result.start_usec) < 0 ||
        parse_uint64(words[WORD_END], &result.end_usec) < 0 ||
        parse_uint64(words[WORD_CPU], &result.cpu_nsec) < 0 ||
        parse_uint64(words[WORD_PEAK], &result.memory_peak_bytes) < 0)
        return -EINVAL;
    result.outcome = (Outcome) outcome;
    for (char **word = words + N_WORDS; r >= 0 && *word; word++)
        r = parse_further(*word, &result);
    if (r < 0) {
        task_result_done(&result);
        return -EINVAL;
    }
    *ret = result;
    return 0;
}
