/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main program of a fuzz target where there is no libFuzzer: its seeds, then so many mutations of them, the same in
 * every run. Prints TAP. An input that ends the program is shown as escaped bytes on standard error; "fuzz-NAME FILE…"
 * runs files instead, as libFuzzer's programs do. */
#include "fuzz-target.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util/parse-util.h"

#define RANDOM_SEED 20260131U
#define INPUT_BYTES_MAX 4096U
#define MUTATIONS_MAX 8

static const uint8_t *current;
static size_t current_size;

static void show_input(int number)
{
    static const char digits[] = "0123456789abcdef";

    (void) !write(STDERR_FILENO, "# input: ", 9);
    for (size_t i = 0; i < current_size; i++) {
        char shown[] = { '\\', 'x', digits[current[i] >> 4], digits[current[i] & 15] };
        (void) !write(STDERR_FILENO, shown, sizeof shown);
    }
    (void) !write(STDERR_FILENO, "\n", 1);
    (void) raise(number); /* once more, as if there were no handler */
}

/* In a block of exactly this size, so that a sanitizer sees a byte too many being read. */
static void run(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *copy = g_malloc(MAX(size, 1));

    if (size > 0)
        memcpy(copy, data, size);
    current = copy;
    current_size = size;
    (void) LLVMFuzzerTestOneInput(copy, size);
    current_size = 0;
}

static size_t below(GRand *random, size_t n)
{
    return n > 0 ? g_rand_int(random) % n : 0;
}

static void insert(GByteArray *input, size_t at, const void *data, size_t size)
{
    size_t tail = input->len - at;

    g_byte_array_set_size(input, (guint) (input->len + size));
    memmove(input->data + at + size, input->data + at, tail);
    memcpy(input->data + at, data, size);
}

/* A part of a seed, or a word that is often treated in a way of its own. */
static void insert_known(GByteArray *input, size_t at, GRand *random)
{
    static const FuzzSeed words[] = {
        FUZZ_SEED("\0"),
        FUZZ_SEED("\n"),
        FUZZ_SEED(" "),
        FUZZ_SEED("-1"),
        FUZZ_SEED("18446744073709551615"),
        FUZZ_SEED("infinity"),
        FUZZ_SEED("%"),
        FUZZ_SEED("\xff"),
        FUZZ_SEED("."),
        FUZZ_SEED("99999999999999999999"),
    };

    if (below(random, 2) == 0) {
        const FuzzSeed *word = &words[below(random, G_N_ELEMENTS(words))];
        insert(input, at, word->data, word->size);
        return;
    }
    const FuzzSeed *seed = &fuzz_seeds[below(random, n_fuzz_seeds)];
    size_t from = below(random, seed->size);
    insert(input, at, seed->data + from, below(random, seed->size - from + 1));
}

static void mutate(GByteArray *input, GRand *random)
{
    size_t at = below(random, input->len);
    uint8_t byte = (uint8_t) below(random, 256);

    switch (below(random, 6)) {
    case 0:
        if (input->len > 0)
            input->data[at] ^= (uint8_t) (1U << below(random, 8));
        break;
    case 1:
        if (input->len > 0)
            input->data[at] = byte;
        break;
    case 2:
        insert(input, at, &byte, 1);
        break;
    case 3:
        insert_known(input, at, random);
        break;
    case 4:
        if (input->len > 0)
            g_byte_array_remove_range(input, (guint) at,
                                      (guint) (1 + below(random, MIN(input->len - at, 16))));
        break;
    case 5:
        if (below(random, 4) == 0)
            g_byte_array_set_size(input, (guint) at);
        break;
    }
}

static void run_mutations(uint64_t n)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(RANDOM_SEED);
    g_autoptr(GByteArray) input = g_byte_array_new();

    for (uint64_t i = 0; i < n; i++) {
        if (i % 4 == 0 || input->len > INPUT_BYTES_MAX) { /* else it strays further from its seed */
            const FuzzSeed *seed = &fuzz_seeds[below(random, n_fuzz_seeds)];
            g_byte_array_set_size(input, 0);
            g_byte_array_append(input, (const guint8 *) seed->data, (guint) seed->size);
        }
        for (size_t rounds = 1 + below(random, MUTATIONS_MAX); rounds > 0; rounds--)
            mutate(input, random);
        run(input->data, input->len);
    }
}

static int run_file(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;
    size_t size;

    if (!g_file_get_contents(path, &data, &size, &error)) {
        fprintf(stderr, "%s\n", error->message);
        return -EIO;
    }
    run((const uint8_t *) data, size);
    return 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = show_input, .sa_flags = (int) SA_RESETHAND };
    g_autofree char *name = g_path_get_basename(argv[0]);
    uint64_t n;

    (void) sigaction(SIGABRT, &action, NULL);
    (void) sigaction(SIGSEGV, &action, NULL);
    if (argc == 3 && strcmp(argv[1], "--mutations") == 0 && parse_uint64(argv[2], &n) >= 0) {
        printf("1..1\n");
        for (size_t i = 0; i < n_fuzz_seeds; i++)
            run((const uint8_t *) fuzz_seeds[i].data, fuzz_seeds[i].size);
        run_mutations(n);
        printf("ok 1 - %s: %" G_GUINT64_FORMAT " inputs\n", name, n + n_fuzz_seeds);
        return 0;
    }
    for (int i = 1; i < argc; i++)
        if (run_file(argv[i]) < 0)
            return 1;
    return 0;
}
