/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Admission: pure decisions on whether the machine can carry one more worker. */
#include "policy/admission.h"

#include "util/parse-util.h"

static uint64_t spare_bytes(const AdmissionFacts *facts)
{
    return facts->available_bytes > facts->reserve_bytes ? facts->available_bytes - facts->reserve_bytes : 0;
}

static bool memory_counts(const AdmissionFacts *facts)
{
    return facts->available_bytes != UINT64_MAX && facts->memory_max_bytes != UINT64_MAX &&
           facts->memory_max_bytes > 0;
}

AdmissionVerdict admission_decide(const AdmissionFacts *facts, char **ret_why)
{
    *ret_why = NULL;
    if (facts->active >= facts->max_workers) {
        *ret_why = g_strdup_printf("%u of at most %u workers run already", facts->active, facts->max_workers);
        return REFUSED_TOO_MANY_WORKERS;
    }
    if (facts->force || !memory_counts(facts) || facts->memory_max_bytes <= spare_bytes(facts))
        return ADMITTED;
    g_autofree char *needs = format_bytes(facts->memory_max_bytes),
                    *free = format_bytes(facts->available_bytes), *kept = format_bytes(facts->reserve_bytes);
    *ret_why = g_strdup_printf("a worker of %s needs %s; %s free, of it %s kept for the system", needs, needs,
                               free, kept);
    return REFUSED_MEMORY;
}

uint32_t admission_admissible(const AdmissionFacts *facts, const char **ret_binding)
{
    *ret_binding = "max-workers";
    if (!memory_counts(facts))
        return facts->max_workers;
    uint64_t more = spare_bytes(facts) / facts->memory_max_bytes;
    if (facts->active >= facts->max_workers || more >= facts->max_workers - facts->active)
        return facts->max_workers;
    *ret_binding = "memory";
    return facts->active + (uint32_t) more;
}
