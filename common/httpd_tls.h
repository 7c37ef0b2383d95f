/* SPDX-License-Identifier: GPL-2.0-or-later */
/* httpd_tls: the listener's certificate and what it wants of its clients, for httpd.c.
 *
 * The certificate's files are looked at again when a connection begins, at most once a second, so that a renewed one
 * is used without a restart; one that cannot be read is logged, and the one before stays. The clients' authorities
 * are read once. Called on the library's thread only, but for start and end. */
#ifndef LARCH_COMMON_HTTPD_TLS_H
#define LARCH_COMMON_HTTPD_TLS_H

#include "common/err.h"
#include "common/httpd.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

struct httpd_tls;

/* NULL: a file cannot be read, or certificate and key do not belong together. */
struct httpd_tls *httpd_tls_new(const struct httpd_tls_config *c, struct err *e);
void httpd_tls_free(struct httpd_tls *t);

const char *httpd_tls_priorities(const struct httpd_tls *t); /* GnuTLS' priority string */
const char *httpd_tls_trust(const struct httpd_tls *t);      /* PEM of the clients' authorities; NULL: none is asked */

/* The certificate for connections of this thread from now on: GnuTLS' callback has no user data. */
void httpd_tls_use(struct httpd_tls *t);
int httpd_tls_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
			  const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **certificates,
			  unsigned int *n_certificates, gnutls_privkey_t *key);

/* May a client with this session ask anything? Otherwise the text says why not. */
bool httpd_tls_admits(const struct httpd_tls *t, gnutls_session_t session, struct err *e);

#endif
