/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first line as Authorization, the second as X-Scope-OrgID, the rest as the users' file: never a crash, and nobody
 * gets in without a secret that the file has. */
#include "server/auth.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_of((const char *)data, size), authorization, org;
	struct buf tenants = {0};
	struct err e = ERR_INIT;

	str_cut(&rest, '\n', &authorization);
	str_cut(&rest, '\n', &org);
	struct auth *a = auth_parse("users.yaml", rest, &e);
	for (int need = AUTH_ADMIN; a && need <= AUTH_READ; need++) {
		e = ERR_INIT;
		buf_clear(&tenants);
		bool in = auth_check(a, (enum auth_need)need, authorization, org, &tenants, &e);
		if (in != (e.code == ERR_NONE)) abort();
		if (in && need != AUTH_PUBLIC && str_find(rest, STR("secret_sha256")) < 0) abort();
	}
	buf_free(&tenants);
	auth_free(a);
	return 0;
}
