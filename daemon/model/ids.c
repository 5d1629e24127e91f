/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ids of workers, and what may be a name. */
#include "model/ids.h"

#include <stdio.h>
#include <string.h>

#include "util/parse-util.h"

int worker_id_parse(const char *id, uint32_t *ret_number)
{
    uint64_t number;

    if (!id || id[0] != 'w' || id[1] == '0')
        return -EINVAL;
    int r = parse_uint64(id + 1, &number);
    if (r < 0)
        return r;
    if (number > UINT32_MAX)
        return -ERANGE;
    *ret_number = (uint32_t) number;
    return 0;
}

void worker_id_format(char buffer[static WORKER_ID_MAX], uint32_t number)
{
    (void) snprintf(buffer, WORKER_ID_MAX, "w%u", number);
}

bool name_is_valid(const char *name)
{
    if (!name || strlen(name) > 255 || !g_utf8_validate(name, -1, NULL))
        return false;
    for (const char *p = name; *p; p = g_utf8_next_char(p))
        if (g_unichar_iscntrl(g_utf8_get_char(p)))
            return false;
    return true;
}
