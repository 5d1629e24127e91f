/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/rubbish.h"

/* Folders for what tasks find and leave, one for each slot: PATH/<worker>-<slot>. */
typedef struct FolderSite FolderSite;

/* Nothing is made before the first folder is. worker: must stay. */
FolderSite *folder_site_new(const char *path, const char *worker);
FolderSite *folder_site_free(FolderSite *site);

/* Goes on removing what tasks have left. True: there is more to be done. */
bool folder_site_remove_some(FolderSite *site);
bool folder_site_is_pending(const FolderSite *site); /* it should be called */

typedef struct PrivateFolder PrivateFolder;

PrivateFolder *private_folder_new(FolderSite *site, uint32_t slot);
PrivateFolder *private_folder_free(PrivateFolder *folder); /* removes it; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PrivateFolder, private_folder_free)

/* It is there, open to that user alone, and nothing of another user is in it. Cheap if it was the same
 * before. */
int private_folder_prepare(PrivateFolder *folder, uint32_t uid, uint32_t gid) _warn_unused_;
int private_folder_fd(const PrivateFolder *folder);
const char *private_folder_path(const PrivateFolder *folder); /* until the next prepare */

bool private_folder_is_empty(const PrivateFolder *folder); /* also if it is not there */
/* Removes what is in it, by and by if it is much; and the folder. */
void private_folder_clear(PrivateFolder *folder);
void private_folder_remove(PrivateFolder *folder);
