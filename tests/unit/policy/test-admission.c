/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admission.c: tables of facts and the verdicts they give. */
#include "policy/admission.h"

#define GIB (UINT64_C(1) << 30)

static const struct {
    AdmissionFacts facts;
    AdmissionVerdict verdict;
    const char *why;         /* NULL: admitted */
    uint32_t admissible;
    const char *binding;
} cases[] = {
    { { 0, 4, 16 * GIB, 1 * GIB, 2 * GIB, false }, ADMITTED, NULL, 4, "max-workers" },
    { { 3, 4, 16 * GIB, 1 * GIB, 2 * GIB, false }, ADMITTED, NULL, 4, "max-workers" },
    { { 4, 4, 16 * GIB, 1 * GIB, 2 * GIB, false }, REFUSED_TOO_MANY_WORKERS, "4 of at most 4 workers run already", 4, "max-workers" },
    { { 9, 4, 16 * GIB, 1 * GIB, 2 * GIB, true }, REFUSED_TOO_MANY_WORKERS, "9 of at most 4 workers run already", 4, "max-workers" },
    { { 0, 64, 3 * GIB, 1 * GIB, 2 * GIB, false }, ADMITTED, NULL, 1, "memory" },
    { { 0, 64, 3 * GIB - 1, 1 * GIB, 2 * GIB, false }, REFUSED_MEMORY,
      "a worker of 2.0G needs 2.0G; 3.0G free, of it 1.0G kept for the system", 0, "memory" },
    { { 2, 64, 3 * GIB, 1 * GIB, 8 * GIB, true }, ADMITTED, NULL, 2, "memory" },
    { { 2, 64, 512, 1 * GIB, 8 * GIB, false }, REFUSED_MEMORY, "a worker of 8.0G needs 8.0G; 512B free, of it 1.0G kept for the system", 2,
      "memory" },
    { { 2, 64, 10 * GIB, 1 * GIB, 2 * GIB, false }, ADMITTED, NULL, 6, "memory" },
    { { 2, 64, 10 * GIB, UINT64_MAX, 2 * GIB, false }, REFUSED_MEMORY,
      "a worker of 2.0G needs 2.0G; 10.0G free, of it infinity kept for the system", 2, "memory" },
    { { 2, 64, 10 * GIB, 1 * GIB, UINT64_MAX, false }, ADMITTED, NULL, 64, "max-workers" }, /* unlimited counts as nothing */
    { { 2, 64, 10 * GIB, 1 * GIB, 0, false }, ADMITTED, NULL, 64, "max-workers" },
    { { 2, 64, UINT64_MAX, 1 * GIB, 8 * GIB, false }, ADMITTED, NULL, 64, "max-workers" },  /* memory is not known */
    { { 2, 64, UINT64_MAX - 1, 0, 1, false }, ADMITTED, NULL, 64, "max-workers" },
    { { 2, 64, 10 * GIB, 1 * GIB, UINT64_MAX - 1, false }, REFUSED_MEMORY,
      "a worker of 16.0E needs 16.0E; 10.0G free, of it 1.0G kept for the system", 2, "memory" },
    { { 0, 0, 10 * GIB, 1 * GIB, 1 * GIB, true }, REFUSED_TOO_MANY_WORKERS, "0 of at most 0 workers run already", 0, "max-workers" },
    { { UINT32_MAX - 1, UINT32_MAX, UINT64_MAX - 1, 0, 1, false }, ADMITTED, NULL, UINT32_MAX, "max-workers" },
};

static void test_decide(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = (char *) 1;
        g_assert_cmpint(admission_decide(&cases[i].facts, &why), ==, cases[i].verdict);
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

static void test_admissible(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *binding = NULL;
        g_assert_cmpuint(admission_admissible(&cases[i].facts, &binding), ==, cases[i].admissible);
        g_assert_cmpstr(binding, ==, cases[i].binding);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admission/decide", test_decide);
    g_test_add_func("/admission/admissible", test_admissible);
    return g_test_run();
}
