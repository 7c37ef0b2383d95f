/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "common/digest.h"
#include "common/yaml.h"

#include <sys/random.h>

#define SECRET_BYTES 32

static void put_hex(struct buf *b, const unsigned char *v, size_t n)
{
	for (size_t i = 0; i < n; i++) buf_printf(b, "%02x", v[i]);
}

static bool check_roles(const char *const *roles, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(roles[i], "push") != 0 && strcmp(roles[i], "read") != 0 && strcmp(roles[i], "admin") != 0)
			return err_set(e, ERR_INVALID, "\"%s\" is none of the roles push, read and admin", roles[i]);
	return true;
}

static bool run(struct cli *c, struct err *e)
{
	unsigned char random[SECRET_BYTES], digest[DIGEST_SHA256];
	struct buf secret = {0};

	if (!check_roles(c->o.args.v + 1, c->o.args.n - 1, e)) return false;
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, "random bytes");
	put_hex(&secret, random, sizeof random);
	digest_sha256(buf_view(&secret), digest);
	buf_printf(&c->out, "# The secret, for its user alone: it is kept nowhere.\n%s\n\n", buf_cstr(&secret));
	buf_c(&c->out, "# For larch.auth_file, below `users:`.\n  - name: ");
	yaml_print_str(&c->out, str_c(c->o.args.v[0]));
	buf_c(&c->out, "\n    secret_sha256: ");
	put_hex(&c->out, digest, sizeof digest);
	buf_c(&c->out, "\n    tenants: [");
	yaml_print_str(&c->out, str_c(c->o.tenant ? c->o.tenant : "*"));
	buf_c(&c->out, "]\n    roles: [");
	for (size_t i = 1; i < c->o.args.n; i++) buf_printf(&c->out, "%s%s", i > 1 ? ", " : "", c->o.args.v[i]);
	buf_c(&c->out, "]\n");
	buf_free(&secret);
	return true;
}

const struct cli_command cmd_secret = {
	.name = "secret",
	.args = "USER ROLE...",
	.summary = "makes a secret for a user of the server",
	.help = "Prints a random secret and the entry that lets it in (docs/SECURITY.md). Roles are push, read and\n"
		"admin; --tenant names the tenant, and without it the user may act for all. Asks no server.\n",
	.examples = "  # for the agents of one team\n"
		    "  larchctl secret --tenant team-a team-a-agents push\n"
		    "  # for Grafana\n"
		    "  larchctl secret grafana read\n",
	.options = OPTIONS_CONNECT,
	.min_args = 2,
	.max_args = 4,
	.run = run,
};
