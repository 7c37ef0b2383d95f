/* SPDX-License-Identifier: GPL-2.0-or-later */
/* auth: who may do what for which tenant: the users of larch.auth_file.
 *
 *   users:
 *     - name: agents
 *       secret_sha256: 5e88…          # of the secret that `larchctl secret` prints; 64 hex digits
 *       tenants: [team-a, team-b]     # "*": every one; a user of one tenant need not name it
 *       roles: [push]                 # push, read, admin (which may do everything)
 *
 * The secret comes as `Authorization: Bearer SECRET`, or as the password of Basic with the user's name. Secrets are
 * random and long, so that one round of SHA-256 keeps them; all users are compared, each in constant time. Checking
 * takes microseconds and no I/O. Any thread; auth_reload() one at a time. */
#ifndef LARCH_SERVER_AUTH_H
#define LARCH_SERVER_AUTH_H

#include "common/buf.h"
#include "common/err.h"
#include "common/fs.h"

enum auth_need {
	AUTH_SERVER, /* what says nothing: concerns all tenants, so admin, for "*" */
	AUTH_ADMIN,
	AUTH_PUBLIC,
	AUTH_KNOWN, /* any user */
	AUTH_PUSH,
	AUTH_READ
};

struct auth;

/* NULL: the file cannot be read or is wrong. file and fs are borrowed. */
struct auth *auth_new(const char *file, struct fs *fs, struct err *e);
/* The same of a text that stands for the file; it cannot be reloaded. */
struct auth *auth_parse(const char *file, struct str text, struct err *e);
void auth_free(struct auth *a);
/* Reads the file again. *changed: it says something new. False: what was read before stays. */
bool auth_reload(struct auth *a, bool *changed, struct err *e);

/* authorization, org: the headers Authorization and X-Scope-OrgID (.p == NULL: absent). True: tenants is appended what
 * org should be. False: ERR_UNAUTH (no or unknown credentials) or ERR_FORBIDDEN, with Loki's newline at the end. */
bool auth_check(struct auth *a, enum auth_need need, struct str authorization, struct str org, struct buf *tenants,
		struct err *e);

#endif
