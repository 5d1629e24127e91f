/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of --after. A refusal has a sentence and leaves nothing; what is taken are clauses in order, means
 * what the text says, and the same after it was written as the store writes it and read once more. */
#include "fuzz-target.h"

#include <stdlib.h>
#include <string.h>

#include "model/dependency.h"
#include "util/parse-util.h"

const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("afterok:12"),
    FUZZ_SEED("afterok:1:2:batch:3,afterany:4?exit=3:5,(afternotok:6?oom:7),singleton"),
    FUZZ_SEED("(after:1,timeout:2)?(aftercorr:3,exit=255:4)"),
    FUZZ_SEED("((((afterok:1))))?afterok:name"),
    FUZZ_SEED("afterok:1?(oom:2?exit=3:3),after:4"),
    FUZZ_SEED("singleton"),
    FUZZ_SEED("exit=256:1"),
    FUZZ_SEED("afterok:batch:18446744073709551615"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

static int lookup(const char *word, Dependency *dependency, void *userdata)
{
    g_assert_true(*word && !strpbrk(word, ",?():="));
    return parse_uint64(word, &dependency->id) < 0 ? -ENOENT : 0;
}

/* ------------------------------------------------------------------ what it means */

/* A condition holds or not, depending on nothing but its words and which world it is. */
static bool holds(const Dependency *condition, guint world)
{
    g_autofree char *text = dependency_format(condition);

    return (g_str_hash(text) >> (world % 16)) & 1;
}

static bool list_holds(const GArray *conditions, guint world)
{
    bool all = true;

    for (guint i = 0; i < conditions->len;) {
        uint32_t clause = g_array_index(conditions, Dependency, i).clause;
        bool any = false;
        for (; i < conditions->len && g_array_index(conditions, Dependency, i).clause == clause; i++)
            any |= holds(&g_array_index(conditions, Dependency, i), world);
        all &= any;
    }
    return all;
}

/* The same off the text, which has been found to be right: no clauses are multiplied here. */
static bool all_hold(const char **at, guint world);

static char *take_word(const char **at)
{
    size_t n = strcspn(*at, ",?():=");
    char *word = g_strndup(*at, n);

    *at += n;
    return word;
}

static bool target_holds(const char **at, Dependency condition, guint world)
{
    (*at)++; /* ":" */
    g_autofree char *word = take_word(at), *number = NULL;
    if (strcmp(word, "batch") == 0 && **at == ':') {
        (*at)++;
        number = take_word(at);
        condition.target = TARGET_BATCH;
    }
    g_assert_cmpint(parse_uint64(number ? number : word, &condition.id), ==, 0);
    return holds(&condition, world);
}

static bool atom_holds(const char **at, guint world)
{
    Dependency condition = { 0 };
    bool all = true;

    if (**at == '(') {
        (*at)++;
        all = all_hold(at, world);
        (*at)++;
        return all;
    }
    g_autofree char *kind = take_word(at);
    if (strcmp(kind, "singleton") == 0)
        return true;
    condition.kind = (DependencyKind) dependency_kind_from_string(kind);
    if (**at == '=') {
        (*at)++;
        g_autofree char *status = take_word(at);
        condition.status = (int) strtoul(status, NULL, 10);
    }
    while (**at == ':')
        all &= target_holds(at, condition, world);
    return all;
}

static bool any_holds(const char **at, guint world)
{
    bool any = atom_holds(at, world);

    while (**at == '?') {
        (*at)++;
        any |= atom_holds(at, world);
    }
    return any;
}

static bool all_hold(const char **at, guint world)
{
    bool all = any_holds(at, world);

    while (**at == ',') {
        (*at)++;
        all &= any_holds(at, world);
    }
    return all;
}

static void check_meaning(const char *text, const GArray *conditions)
{
    for (guint world = 0; world < 16 && conditions->len < 1000; world++) {
        const char *at = text;
        g_assert_cmpint(all_hold(&at, world), ==, list_holds(conditions, world));
        g_assert_cmpint(*at, ==, '\0');
    }
}

/* ------------------------------------------------------------------ how it looks */

static char *write_list(const GArray *conditions)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < conditions->len; i++) {
        const Dependency *condition = &g_array_index(conditions, Dependency, i);
        g_autofree char *word = dependency_format(condition);
        if (i > 0)
            g_string_append_c(
                text, g_array_index(conditions, Dependency, i - 1).clause == condition->clause ? '?' : ',');
        g_string_append(text, word);
    }
    return g_string_free(text, FALSE);
}

static void check_list(const DependencyList *list)
{
    const GArray *conditions = list->conditions;
    g_auto(DependencyList) again = { 0 };
    g_autofree char *text = NULL, *why = NULL;

    g_assert_cmpuint(conditions->len, <=, DEPENDENCIES_MAX);
    g_assert_true(conditions->len > 0 || list->singleton);
    for (guint i = 0; i < conditions->len; i++) {
        const Dependency *condition = &g_array_index(conditions, Dependency, i);
        uint32_t before = i > 0 ? g_array_index(conditions, Dependency, i - 1).clause : 0;
        g_assert_nonnull(dependency_kind_to_string(condition->kind));
        g_assert_true(condition->clause == before || (i > 0 && condition->clause == before + 1));
        g_assert_true(condition->status >= 0 && condition->status <= 255);
        g_assert_true(condition->kind == DEPENDENCY_EXIT || condition->status == 0);
        g_assert_true(condition->target == TARGET_TASK || condition->id > 0);
    }
    if (conditions->len == 0)
        return;
    text = write_list(conditions);
    g_assert_cmpint(dependency_parse(text, lookup, NULL, &again, &why), ==, 0);
    g_assert_cmpuint(again.conditions->len, ==, conditions->len);
    g_assert_false(again.singleton);
    for (guint i = 0; i < conditions->len; i++) {
        const Dependency *a = &g_array_index(conditions, Dependency, i),
                         *b = &g_array_index(again.conditions, Dependency, i);
        g_assert_true(a->clause == b->clause && a->kind == b->kind && a->target == b->target &&
                      a->id == b->id && a->status == b->status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *) data, size), *why = NULL;
    g_auto(DependencyList) list = { 0 };
    int r = dependency_parse(text, lookup, NULL, &list, &why);

    if (r >= 0) {
        g_assert_null(why);
        check_list(&list);
        check_meaning(text, list.conditions);
        return 0;
    }
    g_assert_true(r == -EINVAL || r == -E2BIG || r == -ENOENT);
    g_assert_null(list.conditions);
    g_assert_nonnull(why);
    g_assert_true(g_utf8_validate(why, -1, NULL));
    return 0;
}
