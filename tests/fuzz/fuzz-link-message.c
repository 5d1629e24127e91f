/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker says: what it holds, and its results. The bytes are directions for building a message of the right outer
 * type, so that it comes into the reader: numbers, texts, keys and the types of their values are anything. A refusal leaves
 * nothing; what is taken keeps its bounds, for the store and the bus rely on them. */
#include "fuzz-target.h"

#include <string.h>
#include <sys/socket.h>

#include "dbus/parexec-dbus.h"
#include "link/link-message.h"
#include "model/spool.h"
#include "util/sd-bus-util.h"

#define ODD 0xe0 /* from here on a byte asks for something that does not belong */

typedef struct Directions {
    const uint8_t *data;
    size_t left;
} Directions;

static const struct {
    const char *name, *type;
} keys[] = {
    { "data", "ay" },     { "note", "s" },      { "dropped", "(tt)" },
    { "stdout", "(tt)" }, { "stderr", "(tt)" }, { "later", "t" },
};

/* The number of results; of each: two numbers, the outcome's word by its number, three and four numbers, the tail, the number
 * of entries; of each entry its place in the table, 0 for its own type, and the contents. Then what it holds. */
const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("\1\7\1\1\0\0\0\1\2\3\4\2ab\0\0"),
    FUZZ_SEED("\1\7\1\2\0\11\0\1\2\3\4\0\3\0\0\2xy\1\0\4note\2\0\5\6\0"),
    FUZZ_SEED("\2\1\1\1\0\0\0\1\2\3\4\0\2\3\0\0\1\4\0\2\3\2\1\3\0\0\0\1\2\3\4\1t\0\1\5\6\7"),
    FUZZ_SEED("\1\7\1\340\3wat\0\0\0\1\2\3\4\0\0"),
    FUZZ_SEED("\1\7\1\1\0\0\0\1\2\3\4\0\1\3\0\377\377\377\377\377\377\377\377\377\1\0"),
    FUZZ_SEED("\0\3\1\2\3\1\2\3\377\0\0\0\0\0\0\0\0\1\2"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

static uint8_t take(Directions *directions)
{
    if (directions->left == 0)
        return 0;
    directions->left--;
    return *directions->data++;
}

static uint64_t take_number(Directions *directions)
{
    uint64_t number = take(directions);

    for (size_t i = 0; number >= ODD && i < 8; i++)
        number = number << 8 | take(directions);
    return number;
}

static const uint8_t *take_block(Directions *directions, size_t *ret_size)
{
    size_t wanted = take_number(directions) % 2048; /* MIN() would take it twice */
    const uint8_t *block = directions->data;

    *ret_size = MIN(wanted, directions->left);
    directions->data += *ret_size;
    directions->left -= *ret_size;
    return block;
}

static int append_text(sd_bus_message *m, Directions *directions)
{
    size_t size;
    const uint8_t *block = take_block(directions, &size);
    g_autofree char *text = g_strndup((const char *) block, size);

    return sd_bus_message_append_basic(m, 's', text);
}

static int append_bytes(sd_bus_message *m, Directions *directions)
{
    size_t size;
    const uint8_t *block = take_block(directions, &size);

    return sd_bus_message_append_array(m, 'y', block, size);
}

static int append_value(sd_bus_message *m, Directions *directions, const char *type)
{
    if (strcmp(type, "ay") == 0)
        return append_bytes(m, directions);
    if (strcmp(type, "s") == 0)
        return append_text(m, directions);
    if (strcmp(type, "(tt)") == 0) {
        uint64_t first = take_number(directions);
        return sd_bus_message_append(m, "(tt)", first, take_number(directions));
    }
    return sd_bus_message_append(m, "t", take_number(directions));
}

static int append_entry(sd_bus_message *m, Directions *directions)
{
    uint8_t choice = take(directions), odd_type = take(directions);
    const char *type =
        keys[odd_type < ODD ? choice % G_N_ELEMENTS(keys) : odd_type % G_N_ELEMENTS(keys)].type;
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = choice < ODD ? sd_bus_message_append(m, "s", keys[choice % G_N_ELEMENTS(keys)].name)
                         : append_text(m, directions);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', type);
    if (r >= 0)
        r = append_value(m, directions, type);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_outcome(sd_bus_message *m, Directions *directions)
{
    uint8_t choice = take(directions);

    return choice < ODD ? sd_bus_message_append(m, "s", outcome_to_string((Outcome) (choice % _OUTCOME_MAX)))
                        : append_text(m, directions);
}

static int append_numbers(sd_bus_message *m, Directions *directions, const char *types)
{
    int r = 0;

    for (; r >= 0 && *types; types++) {
        uint64_t number = take_number(directions);
        r = sd_bus_message_append_basic(m, *types, &number);
    }
    return r;
}

static int append_result(sd_bus_message *m, Directions *directions)
{
    int r = sd_bus_message_open_container(m, 'r', "ttsiiittttaya{sv}");

    if (r >= 0)
        r = append_numbers(m, directions, "tt");
    if (r >= 0)
        r = append_outcome(m, directions);
    if (r >= 0)
        r = append_numbers(m, directions, "iiitttt");
    if (r >= 0)
        r = append_bytes(m, directions);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    for (unsigned n = take(directions) % 16; r >= 0 && n > 0; n--)
        r = append_entry(m, directions);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int build(sd_bus_message *m, Directions *directions)
{
    int r = sd_bus_message_open_container(m, 'a', PAREXEC_LINK_RESULT);

    for (unsigned n = take(directions) % 16; r >= 0 && n > 0; n--)
        r = append_result(m, directions);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', PAREXEC_LINK_HELD);
    for (unsigned n = take(directions) % 16; r >= 0 && n > 0; n--) {
        uint64_t task = take_number(directions), fence = take_number(directions);
        r = sd_bus_message_append(m, PAREXEC_LINK_HELD, task, fence, take_number(directions));
    }
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_seal(m, 1, 0);
}

static void check_result(const TaskResult *result)
{
    g_assert_true(result->outcome > OUTCOME_NONE && result->outcome < _OUTCOME_MAX);
    g_assert_true(!result->stderr_tail || g_bytes_get_size(result->stderr_tail) <= STDERR_TAIL_BYTES_MAX);
    g_assert_true(!result->data ||
                  (g_bytes_get_size(result->data) > 0 && g_bytes_get_size(result->data) <= RESULT_BYTES_MAX));
    g_assert_true(!result->note || (*result->note && result_note_valid(result->note)));
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_assert_true(!result->places[i].packed ||
                      output_place_valid(result->places[i].offset, result->places[i].size));
}

static sd_bus *bus_get(void)
{
    static sd_bus *bus;
    int sockets[2];

    if (bus)
        return bus;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), ==, 0);
    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(bus, sockets[0], sockets[0]), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    return bus;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Directions directions = { data, size };
    g_autoptr(sd_bus_message) m = NULL;
    g_autoptr(GArray) results = NULL, held = NULL;

    g_assert_cmpint(sd_bus_message_new_method_call(bus_get(), &m, NULL, "/x", "x.x", "Finished"), >=, 0);
    if (build(m, &directions) < 0)
        return 0; /* not UTF-8, say: such a message nobody can send */
    g_assert_cmpint(sd_bus_message_rewind(m, true), >=, 0);
    if (link_read_results(m, &results) < 0) {
        g_assert_null(results);
        return 0;
    }
    for (guint i = 0; i < results->len; i++)
        check_result(&g_array_index(results, TaskResult, i));
    g_assert_cmpint(link_read_held(m, &held), ==, 0);
    g_assert_cmpint(sd_bus_message_at_end(m, true), >, 0);
    return 0;
}
