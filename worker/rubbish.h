/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Folders on their way out: whatever a task has left in them, however deep and many, is removed a piece at
 * a time. */
typedef struct Rubbish Rubbish;

/* directory: where the folders are that will be taken, and where a hidden one is made for what is to go; it
 * must stay open. Several workers may share it. */
Rubbish *rubbish_new(int directory);
Rubbish *rubbish_free(Rubbish *rubbish); /* what is left is removed by the next that works here */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rubbish, rubbish_free)

/* Takes the folder of that name out of the directory. */
int rubbish_take(Rubbish *rubbish, const char *folder) _warn_unused_;

/* Removes some hundred files. True: there is more to be done. */
bool rubbish_remove_some(Rubbish *rubbish);
bool rubbish_is_pending(const Rubbish *rubbish); /* it should be called */
