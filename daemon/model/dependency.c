/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grammar of --after, by recursive descent:
 *
 *   all       = any { "," any }                                  every one must hold
 *   any       = atom { "?" atom }                                "?" binds closer than ","
 *   atom      = "(" all ")" | "singleton" | condition
 *   condition = kind [ "=" status ] { ":" target }               several targets: every one
 *   target    = "batch:" number | word
 *
 * What is read is kept as a conjunction of clauses throughout: OR multiplies the clauses of both sides. */
#include "model/dependency.h"

#include <string.h>

#include "util/parse-util.h"

#define DEPTH_MAX 32

static const char *const dependency_kind_table[_DEPENDENCY_KIND_MAX] = {
    [DEPENDENCY_AFTER_OK] = "afterok",
    [DEPENDENCY_AFTER_NOT_OK] = "afternotok",
    [DEPENDENCY_AFTER_ANY] = "afterany",
    [DEPENDENCY_AFTER] = "after",
    [DEPENDENCY_AFTER_CORR] = "aftercorr",
    [DEPENDENCY_EXIT] = "exit",
    [DEPENDENCY_OOM] = "oom",
    [DEPENDENCY_TIMEOUT] = "timeout",
};
DEFINE_STRING_TABLE(dependency_kind, DependencyKind)

char *dependency_format(const Dependency *dependency)
{
    g_autofree char *status =
        dependency->kind == DEPENDENCY_EXIT ? g_strdup_printf("=%d", dependency->status) : g_strdup("");

    return g_strdup_printf("%s%s:%s%" G_GUINT64_FORMAT, dependency_kind_to_string(dependency->kind), status,
                           dependency->target == TARGET_BATCH ? "batch:" : "", dependency->id);
}

void dependency_list_done(DependencyList *list)
{
    g_clear_pointer(&list->conditions, g_array_unref);
}

typedef struct Parser {
    const char *at;
    DependencyLookup lookup;
    void *userdata;
    unsigned depth;
    bool singleton;
    char *why;
} Parser;

/* A conjunction: of GArrays of Dependency, each a clause. */
static GPtrArray *clauses_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify) g_array_unref);
}

static int fail(Parser *parser, int r, char *why)
{
    if (parser->why)
        g_free(why);
    else
        parser->why = why;
    return r;
}

static int complain(Parser *parser, const char *what)
{
    g_autofree char *rest = *parser->at ? format_foreign(parser->at) : g_strdup("the end");

    return fail(parser, -EINVAL, g_strdup_printf("%s at \"%s\"", what, rest));
}

static void append_clauses(GPtrArray *to, GPtrArray *from /* taken */)
{
    g_ptr_array_extend_and_steal(to, from);
}

/* (a AND b) OR (c AND d) = (a OR c) AND (a OR d) AND (b OR c) AND (b OR d) */
static int multiply(Parser *parser, GPtrArray **left, GPtrArray *right)
{
    g_autoptr(GPtrArray) product = clauses_new();
    size_t n = 0;

    for (guint i = 0; i < (*left)->len; i++)
        for (guint k = 0; k < right->len; k++) {
            const GArray *a = (*left)->pdata[i], *b = right->pdata[k];
            GArray *clause = g_array_new(FALSE, FALSE, sizeof(Dependency));
            g_array_append_vals(clause, a->data, a->len);
            g_array_append_vals(clause, b->data, b->len);
            g_ptr_array_add(product, clause);
            n += clause->len;
            if (n > DEPENDENCIES_MAX)
                return fail(parser, -E2BIG,
                            g_strdup_printf("written out it has more than %u conditions", DEPENDENCIES_MAX));
        }
    g_ptr_array_unref(*left);
    *left = g_steal_pointer(&product);
    return 0;
}

static char *take_word(Parser *parser)
{
    size_t n = strcspn(parser->at, ",?():=");
    char *word = g_strndup(parser->at, n);

    parser->at += n;
    return word;
}

static int read_target(Parser *parser, Dependency *dependency)
{
    g_autofree char *word = take_word(parser);

    if (!*word)
        return complain(parser, "a task or batch is missing");
    if (strcmp(word, "batch") == 0 && *parser->at == ':') {
        parser->at++;
        g_autofree char *number = take_word(parser);
        dependency->target = TARGET_BATCH;
        if (parse_uint64(number, &dependency->id) < 0 || dependency->id == 0)
            return complain(parser, "a batch has a number");
        return 0;
    }
    int r = parser->lookup(word, dependency, parser->userdata);
    if (r < 0) {
        g_autofree char *shown = format_foreign(word);
        return fail(parser, r, g_strdup_printf("there is no task \"%s\"", shown));
    }
    return 0;
}

static int read_kind(Parser *parser, Dependency *ret)
{
    g_autofree char *word = take_word(parser);
    int kind = dependency_kind_from_string(word);
    uint64_t status;

    if (kind < 0) {
        g_autofree char *shown = format_foreign(word);
        return fail(
            parser, -EINVAL,
            g_strdup_printf("\"%s\" is none of afterok, afternotok, afterany, after, aftercorr, exit=N, "
                            "oom, timeout, singleton",
                            shown));
    }
    *ret = (Dependency){ .kind = (DependencyKind) kind };
    if (kind != DEPENDENCY_EXIT)
        return *parser->at == '=' ? complain(parser, "only exit takes a status") : 0;
    if (*parser->at++ != '=')
        return fail(parser, -EINVAL, g_strdup("exit needs a status: exit=3:TASK"));
    g_autofree char *number = take_word(parser);
    if (parse_uint64(number, &status) < 0 || status > 255)
        return fail(parser, -EINVAL, g_strdup("a status is a number from 0 to 255"));
    ret->status = (int) status;
    return 0;
}

static int read_condition(Parser *parser, GPtrArray *clauses)
{
    Dependency dependency;
    int r = read_kind(parser, &dependency);

    if (r >= 0 && *parser->at != ':')
        r = complain(parser, "a condition is KIND:TASK;");
    while (r >= 0 && *parser->at == ':') {
        Dependency one = dependency;
        parser->at++;
        r = read_target(parser, &one);
        if (r < 0)
            break;
        GArray *clause = g_array_new(FALSE, FALSE, sizeof(Dependency));
        g_array_append_val(clause, one);
        g_ptr_array_add(clauses, clause);
    }
    return r;
}

static int read_all(Parser *parser, GPtrArray **ret);

static bool take_singleton(Parser *parser)
{
    static const char word[] = "singleton";

    if (strncmp(parser->at, word, strlen(word)) != 0 ||
        (parser->at[strlen(word)] && !strchr(",?)", parser->at[strlen(word)])))
        return false;
    parser->at += strlen(word);
    return true;
}

static int read_atom(Parser *parser, GPtrArray **ret)
{
    g_autoptr(GPtrArray) clauses = clauses_new();
    int r = 0;

    if (*parser->at == '(') {
        parser->at++;
        if (++parser->depth > DEPTH_MAX)
            return fail(parser, -E2BIG, g_strdup_printf("parentheses go more than %d deep", DEPTH_MAX));
        g_clear_pointer(&clauses, g_ptr_array_unref);
        r = read_all(parser, &clauses);
        parser->depth--;
        if (r >= 0 && *parser->at++ != ')') {
            parser->at--;
            r = complain(parser, "a \")\" is missing");
        }
    } else if (take_singleton(parser)) {
        if (parser->depth > 0 || *parser->at == '?')
            return fail(parser, -EINVAL, g_strdup("singleton stands by itself between commas"));
        parser->singleton = true;
    } else
        r = read_condition(parser, clauses);
    if (r >= 0)
        *ret = g_steal_pointer(&clauses);
    return r;
}

static int read_any(Parser *parser, GPtrArray **ret)
{
    g_autoptr(GPtrArray) clauses = NULL;
    bool singleton = parser->singleton;
    int r = read_atom(parser, &clauses);

    while (r >= 0 && *parser->at == '?') {
        g_autoptr(GPtrArray) other = NULL;
        parser->at++;
        r = read_atom(parser, &other);
        if (r >= 0 && parser->singleton != singleton)
            r = fail(parser, -EINVAL, g_strdup("singleton stands by itself between commas"));
        if (r >= 0)
            r = multiply(parser, &clauses, other);
    }
    if (r >= 0)
        *ret = g_steal_pointer(&clauses);
    return r;
}

static int read_all(Parser *parser, GPtrArray **ret)
{
    g_autoptr(GPtrArray) clauses = NULL;
    int r = read_any(parser, &clauses);

    while (r >= 0 && *parser->at == ',') {
        GPtrArray *more = NULL;
        parser->at++;
        r = read_any(parser, &more);
        if (r >= 0)
            append_clauses(clauses, more);
        if (r >= 0 && clauses->len > DEPENDENCIES_MAX)
            r = fail(parser, -E2BIG, g_strdup_printf("it has more than %u conditions", DEPENDENCIES_MAX));
    }
    if (r >= 0)
        *ret = g_steal_pointer(&clauses);
    return r;
}

static GArray *number_clauses(const GPtrArray *clauses)
{
    GArray *conditions = g_array_new(FALSE, FALSE, sizeof(Dependency));

    for (guint i = 0; i < clauses->len; i++) {
        GArray *clause = clauses->pdata[i];
        for (guint k = 0; k < clause->len; k++)
            g_array_index(clause, Dependency, k).clause = i;
        g_array_append_vals(conditions, clause->data, clause->len);
    }
    return conditions;
}

int dependency_parse(const char *text, DependencyLookup lookup, void *userdata, DependencyList *ret,
                     char **ret_why)
{
    Parser parser = { .at = text, .lookup = lookup, .userdata = userdata };
    g_autoptr(GPtrArray) clauses = NULL;
    int r = read_all(&parser, &clauses);

    if (r >= 0 && *parser.at)
        r = complain(&parser, "this does not belong there,");
    if (r < 0) {
        *ret_why = parser.why;
        return r;
    }
    *ret = (DependencyList){ number_clauses(clauses), parser.singleton };
    return 0;
}
