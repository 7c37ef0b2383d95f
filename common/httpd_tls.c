/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/httpd_tls.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"

#include <gnutls/x509.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PEM_MAX   (1u << 20) /* bytes of one file */
#define CHAIN_MAX 16         /* certificates */
#define LOOK_NS   INT64_C(1000000000)

struct identity {
	struct identity *older; /* sessions may still point into it */
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned n;
	gnutls_privkey_t key;
};

struct stamp {
	struct timespec cert, key; /* of last change */
};

struct httpd_tls {
	char *cert_file, *key_file;
	enum httpd_client_auth clients;
	struct buf trust;
	const char *priorities;
	struct identity *now;
	struct stamp stamp;
	int64_t looked; /* monotonic */
};

static _Thread_local struct httpd_tls *in_use;

/* ---- the certificate ---- */

static bool read_pem(const char *path, struct buf *out, struct err *e)
{
	return fs_read_file(&fs_real, path, PEM_MAX, out, e);
}

static bool gnutls_says(int rc, const char *what, const char *file, struct err *e)
{
	return rc >= 0 || err_set(e, ERR_INVALID, "%s %s: %s", what, file, gnutls_strerror(rc));
}

static gnutls_datum_t datum(const struct buf *b) { return (gnutls_datum_t){(unsigned char *)b->p, (unsigned)b->n}; }

/* They belong together when one has the other's public half. */
static bool match(struct identity *id, const char *cert_file, const char *key_file, struct err *e)
{
	unsigned char a[64], b[64];
	size_t na = sizeof a, nb = sizeof b;
	gnutls_pubkey_t pub;
	bool same = gnutls_pubkey_init(&pub) >= 0;

	if (!same) return err_set(e, ERR_INTERNAL, "out of memory for a public key");
	same = gnutls_pubkey_import_privkey(pub, id->key, 0, 0) >= 0 && gnutls_pubkey_get_key_id(pub, 0, a, &na) >= 0 &&
	       gnutls_pubkey_get_key_id(id->chain[0].pubkey, 0, b, &nb) >= 0 && na == nb && memcmp(a, b, na) == 0;
	gnutls_pubkey_deinit(pub);
	return same ||
	       err_set(e, ERR_INVALID, "the key in %s is not that of the certificate in %s", key_file, cert_file);
}

static void identity_free(struct identity *id)
{
	for (unsigned i = 0; i < id->n; i++) gnutls_pcert_deinit(&id->chain[i]);
	if (id->key) gnutls_privkey_deinit(id->key);
	free(id);
}

static struct identity *identity_read(const struct httpd_tls *t, struct err *e)
{
	struct identity *id = mem_zalloc(sizeof *id);
	struct buf cert = {0}, key = {0};
	unsigned n = CHAIN_MAX;
	bool ok = read_pem(t->cert_file, &cert, e) && read_pem(t->key_file, &key, e);

	if (ok) {
		gnutls_datum_t c = datum(&cert), k = datum(&key);

		ok = gnutls_says(gnutls_pcert_list_import_x509_raw(id->chain, &n, &c, GNUTLS_X509_FMT_PEM, 0),
				 "certificate", t->cert_file, e);
		if (ok) id->n = n;
		ok = ok && gnutls_says(gnutls_privkey_init(&id->key), "key", t->key_file, e) &&
		     gnutls_says(gnutls_privkey_import_x509_raw(id->key, &k, GNUTLS_X509_FMT_PEM, NULL, 0), "key",
				 t->key_file, e) &&
		     match(id, t->cert_file, t->key_file, e);
	}
	buf_free(&cert);
	gnutls_memset(key.p, 0, key.n);
	buf_free(&key);
	if (ok) return id;
	identity_free(id);
	return NULL;
}

static struct stamp stamp_of(const struct httpd_tls *t)
{
	struct stat c = {0}, k = {0};

	stat(t->cert_file, &c);
	stat(t->key_file, &k);
	return (struct stamp){c.st_mtim, k.st_mtim};
}

/* Certificate and key are replaced one after the other: while they do not match, the old pair stays. */
static void look_again(struct httpd_tls *t)
{
	int64_t now = clock_mono(&clock_real);
	struct err e = ERR_INIT;
	struct stamp s;
	struct identity *id;

	if (now - t->looked < LOOK_NS) return;
	t->looked = now;
	s = stamp_of(t);
	if (memcmp(&s, &t->stamp, sizeof s) == 0) return;
	id = identity_read(t, &e);
	if (!id) {
		log_warn("the listener's certificate stays as it was", kv_err(&e));
		return;
	}
	id->older = t->now;
	t->now = id;
	t->stamp = s;
	log_info("the listener's certificate was read again", kv_c("file", t->cert_file));
}

void httpd_tls_use(struct httpd_tls *t)
{
	in_use = t;
	if (t) look_again(t);
}

int httpd_tls_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
			  const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **certificates,
			  unsigned int *n_certificates, gnutls_privkey_t *key)
{
	(void)session, (void)authorities, (void)n_authorities, (void)algorithms, (void)n_algorithms;
	*certificates = in_use->now->chain;
	*n_certificates = in_use->now->n;
	*key = in_use->now->key;
	return 0;
}

/* ---- the clients' ---- */

bool httpd_tls_admits(const struct httpd_tls *t, gnutls_session_t session, struct err *e)
{
	unsigned n = 0, status = 0;
	gnutls_datum_t why = {0};

	if (t->clients == HTTPD_CLIENTS_ANY || t->clients == HTTPD_CLIENTS_ASKED) return true;
	gnutls_certificate_get_peers(session, &n);
	if (n == 0) {
		if (t->clients == HTTPD_CLIENTS_VERIFIED_IF_GIVEN) return true;
		return err_set(e, ERR_FORBIDDEN,
			       "a client certificate is required here (http_tls_config.client_auth_type)");
	}
	if (t->clients == HTTPD_CLIENTS_CERTIFIED) return true;
	if (gnutls_certificate_verify_peers2(session, &status) >= 0 && status == 0) return true;
	gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &why, 0);
	err_set(e, ERR_FORBIDDEN, "the client certificate is refused: %.*s", (int)why.size,
		why.data ? (char *)why.data : "");
	gnutls_free(why.data);
	return false;
}

/* ---- start and end ---- */

const char *httpd_tls_priorities(const struct httpd_tls *t) { return t->priorities; }

const char *httpd_tls_trust(const struct httpd_tls *t) { return t->trust.n ? t->trust.p : NULL; }

struct httpd_tls *httpd_tls_new(const struct httpd_tls_config *c, struct err *e)
{
	static const char *const priorities[] = {
		[HTTPD_TLS_12] = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
		[HTTPD_TLS_13] = "SECURE128:-VERS-ALL:+VERS-TLS1.3",
	};
	struct httpd_tls *t = mem_zalloc(sizeof *t);
	bool ok = true;

	t->cert_file = mem_strdup(c->cert_file);
	t->key_file = mem_strdup(c->key_file);
	t->clients = c->clients;
	t->priorities = priorities[c->version];
	if (c->client_ca_file && *c->client_ca_file) {
		ok = read_pem(c->client_ca_file, &t->trust, e);
		if (ok && t->trust.n == 0) ok = err_set(e, ERR_INVALID, "%s is empty", c->client_ca_file);
		buf_cstr(&t->trust);
	}
	t->stamp = stamp_of(t);
	if (ok && (t->now = identity_read(t, e))) return t;
	httpd_tls_free(t);
	return NULL;
}

void httpd_tls_free(struct httpd_tls *t)
{
	if (!t) return;
	for (struct identity *id = t->now, *older; id; id = older) {
		older = id->older;
		identity_free(id);
	}
	buf_free(&t->trust);
	free(t->cert_file);
	free(t->key_file);
	free(t);
}
