/* SPDX-License-Identifier: GPL-2.0-or-later */
/* delete_filter: the queries of delete requests, for the store (store/deletes.h): log queries of any stages, run over
 * one row at a time. A row is meant when the query would answer it, whatever it makes of the line.
 *
 * Compiled queries are immutable; a run is one thread's. Where a row's stages take more than 64 MiB of memory it is
 * not meant: what is kept by mistake can still be deleted. */
#ifndef LARCH_SERVER_EXEC_DELETE_FILTER_H
#define LARCH_SERVER_EXEC_DELETE_FILTER_H

#include "server/store/deletes.h"

extern const struct delete_lang delete_filter_lang;

#endif
