/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /otlp/v1/logs (spec push-protocol §7). Errors are a google.rpc.Status whose message is field 2. */
#include "proto/otlp.h"
#include "server/http/api_push.h"

static struct otlp_rules rules_of(const struct api *api, const struct limits *l)
{
	const struct conf_strs *index = &api->push->otlp_index;
	return (struct otlp_rules){
		.defaults = {OTLP_INDEX_LABEL, index->v, l->otlp.ignore_defaults ? 0 : index->n, NULL},
		.resource = l->otlp.resource.rules,
		.scope = l->otlp.scope.rules,
		.record = l->otlp.record.rules,
		.severity_label = l->otlp.severity_text_as_label,
		.now = clock_wall(api->clock),
	};
}

static bool decode_proto(const struct api *api, const struct limits *l, struct arena *a, struct str body,
			 struct push *out, struct err *e)
{
	struct otlp_rules rules = rules_of(api, l);
	return otlp_decode(a, body, &rules, out, e);
}

static bool decode_json(const struct api *api, const struct limits *l, struct arena *a, struct str body,
			struct push *out, struct err *e)
{
	struct otlp_rules rules = rules_of(api, l);
	return otlp_json_decode(a, body, &rules, out, e);
}

/* No parameters, no other case. */
static push_decode_fn *decoder(struct str content_type, bool *snappy, struct err *e)
{
	*snappy = false;
	if (str_eqc(content_type, "application/x-protobuf")) return decode_proto;
	if (str_eqc(content_type, "application/json")) return decode_json;
	err_set(e, ERR_INVALID, "content type: %.*s is not supported", STR_ARG(content_type));
	return NULL;
}

static void refuse(struct httpd_req *r, int status, struct str text)
{
	enum { STATUS_MESSAGE = 2 << 3 | 2 };
	struct buf b = {0};
	buf_u8(&b, STATUS_MESSAGE);
	buf_lpstr(&b, text);
	if (status == 500) status = 503; /* exporters give up at 500 and retry after 503 */
	httpd_reply(r, status, "application/octet-stream", &b);
}

static const struct push_coding codings[] = {
	{"gzip", CODEC_GZIP, 1100}, {"zstd", CODEC_ZSTD, 0}, {"lz4", CODEC_LZ4, 256}, {0}};
static const struct push_protocol protocol = {codings, decoder, refuse};

static void otlp_handler(struct httpd_req *r, void *ctx) { push_handle(r, ctx, &protocol); }

static const struct httpd_route routes[] = {
	{"POST", "/otlp/v1/logs", otlp_handler, PUSH_MAX_BODY, "otlp_v1_logs", PUSH_MAX_BODY_KEY},
};

const struct api_table api_otlp_table = API_TABLE_FOR(routes, AUTH_PUSH);
