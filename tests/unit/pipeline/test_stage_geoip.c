/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/mmdb_write.h"
#include "tests/unit/pipeline/stage_run.h"

#include <unistd.h>

static char path[] = "/tmp/larch-geoip-XXXXXX";

#ifdef LARCH_MAXMINDDB

/* Stages of the text, in which %s is the database. */
static void check_geoip(const char *stages, const char *const *lines, const char *want)
{
	char text[1024];
	snprintf(text, sizeof text, stages, path);
	check_stages(text, lines, want);
}

#define EXTRACT "{regex: {expression: '^(?P<ip>\\S+)'}}"
#define KEEP                                                                                                           \
	"{structured_metadata: {values: {geoip_city_name: , geoip_country_name: , geoip_country_code: , "              \
	"geoip_continent_name: , geoip_location_latitude: , geoip_subdivision_code: , "                                \
	"geoip_autonomous_system_number: }}}"

static void cities_become_labels(void **state)
{
	(void)state;
	check_geoip("[" EXTRACT ", {geoip: {db: %s, source: ip, db_type: city}}]",
		    LINES("81.2.69.142 GET /", "::ffff:81.2.69.142", "9.9.9.9", "no address", "81.2.69.1422", ""),
		    "{geoip_city_name=\"London\", geoip_continent_code=\"EU\", geoip_continent_name=\"Europe\", "
		    "geoip_country_name=\"United Kingdom\", geoip_location_latitude=\"51.5142\", "
		    "geoip_location_longitude=\"-0.0931\", geoip_postal_code=\"OX1\", geoip_subdivision_code=\"WBK\", "
		    "geoip_subdivision_name=\"West Berkshire\", geoip_timezone=\"Europe/London\", job=\"t\"} "
		    "81.2.69.142 GET /\n"
		    "{geoip_city_name=\"London\", geoip_continent_code=\"EU\", geoip_continent_name=\"Europe\", "
		    "geoip_country_name=\"United Kingdom\", geoip_location_latitude=\"51.5142\", "
		    "geoip_location_longitude=\"-0.0931\", geoip_postal_code=\"OX1\", geoip_subdivision_code=\"WBK\", "
		    "geoip_subdivision_name=\"West Berkshire\", geoip_timezone=\"Europe/London\", job=\"t\"} "
		    "::ffff:81.2.69.142\n"
		    "{job=\"t\"} 9.9.9.9\n{job=\"t\"} no address\n{job=\"t\"} 81.2.69.1422\n{job=\"t\"} \n");
}

static void owners_become_labels(void **state)
{
	(void)state;
	check_geoip("[" EXTRACT ", {geoip: {db: %s, source: ip, db_type: asn}}]", LINES("1.128.0.0", "81.2.69.142"),
		    "{geoip_autonomous_system_number=\"1221\", geoip_autonomous_system_organization=\"Telstra Pty "
		    "Ltd\", job=\"t\"} 1.128.0.0\n{job=\"t\"} 81.2.69.142\n");
}

static void alloy_extracts(void **state)
{
	(void)state;
	check_geoip(ALLOY "[" EXTRACT ", {geoip: {db: %s, source: ip, db_type: country}}, " KEEP "]",
		    LINES("81.2.69.142", "2001:218::1"),
		    "{job=\"t\"} 81.2.69.142 {geoip_continent_name=\"Europe\", geoip_country_code=\"GB\", "
		    "geoip_country_name=\"United Kingdom\"}\n{job=\"t\"} 2001:218::1 {geoip_country_code=\"JP\"}\n");
	check_geoip(ALLOY "[" EXTRACT ", {geoip: {db: %s, source: ip, db_type: asn}}, " KEEP "]", LINES("1.128.0.0"),
		    "{job=\"t\"} 1.128.0.0 {geoip_autonomous_system_number=\"1221\"}\n");
	check_geoip(ALLOY "[" EXTRACT ", {geoip: {db: %s, source: ip, db_type: city}}, " KEEP "]", LINES("81.2.69.142"),
		    "{job=\"t\"} 81.2.69.142 {geoip_city_name=\"London\", geoip_continent_name=\"Europe\", "
		    "geoip_country_code=\"GB\", geoip_country_name=\"United Kingdom\", "
		    "geoip_location_latitude=\"51.5142\", geoip_subdivision_code=\"WBK\"}\n");
}

static void alloy_looks_up_what_it_is_asked_for(void **state)
{
	(void)state;
	check_geoip(ALLOY "[" EXTRACT ", {geoip: {db: %s, source: ip, custom_lookups: {tz: location.time_zone, "
			  "country: country.iso_code, all: 'subdivisions[*].iso_code', east: 'location.longitude > "
			  "`0`', nope: , unread: city}}}, {structured_metadata: {values: {tz: , country: , all: , "
			  "east: , nope: }}}]",
		    LINES("81.2.69.142"),
		    "{job=\"t\"} 81.2.69.142 {all=\"[\\\"ENG\\\",\\\"WBK\\\"]\", country=\"GB\", east=\"false\", "
		    "tz=\"Europe/London\"}\n");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	(void)state;
	check_refused("[{geoip: {db: /nope.mmdb, source: ip, db_type: city}}]",
		      "agent.yaml:1:15: stage geoip: db: /nope.mmdb: No such file or directory");
	check_refused("[{geoip: {db: /dev/null, source: ip, db_type: city}}]",
		      "agent.yaml:1:15: stage geoip: db: /dev/null is not a regular file");
	check_refused("[{geoip: {db: /etc/passwd, source: ip, db_type: city}}]",
		      "agent.yaml:1:15: stage geoip: db: /etc/passwd: The MaxMind DB file contains invalid metadata");
}

/* Whatever is damaged, nothing but fields is lost. */
static void a_damaged_database_does_no_harm(void **state)
{
	(void)state;
	char other[] = "/tmp/larch-geoip-XXXXXX", text[512];
	struct buf b = {0};
	close(mkstemp(other));
	FILE *f = fopen(path, "rb");
	for (int c; (c = fgetc(f)) != EOF;) buf_u8(&b, (uint8_t)c);
	fclose(f);
	snprintf(text, sizeof text,
		 ALLOY "[" EXTRACT ", {geoip: {db: %s, source: ip, db_type: city, custom_lookups: {all: '@'}}}, "
		       "{labels: {values: {geoip_city_name: , all: }}}]",
		 other);
	for (size_t i = 0; i < b.n; i += 7) {
		struct stage_run r;
		f = fopen(other, "wb");
		b.p[i] ^= (char)0x55;
		fwrite(b.p, 1, b.n, f);
		b.p[i] ^= (char)0x55;
		fclose(f);
		if (stage_run_open(&r, text, NULL))
			assert_non_null(strstr(stage_run_lines(&r, LINES("81.2.69.1")), "1"));
		stage_run_close(&r);
	}
	buf_free(&b);
	unlink(other);
}

#else

static void says_that_it_is_not_there(void **state)
{
	(void)state;
	check_refused("[{geoip: {db: /a.mmdb, source: ip, db_type: city}}]",
		      "agent.yaml:1:15: stage geoip: db: /a.mmdb cannot be read: this program was built without "
		      "libmaxminddb; install libmaxminddb-dev and build again");
}

#endif

static void refuses(void **state)
{
	(void)state;
	check_refused("[{geoip: {source: ip, db_type: city}}]",
		      "agent.yaml:1:10: stage geoip: db must be set: the path of a MaxMind database");
	check_refused("[{geoip: {db: a, db_type: city}}]",
		      "agent.yaml:1:10: stage geoip: source must be set: name the extracted value with the address");
	check_refused("[{geoip: {db: a, source: ip}}]",
		      "agent.yaml:1:10: stage geoip: db_type must be city or asn, not \"\"");
	check_refused("[{geoip: {db: a, source: ip, db_type: country}}]",
		      "agent.yaml:1:39: stage geoip: db_type must be city or asn, not \"country\"");
	check_refused(
		ALLOY "[{geoip: {db: a, source: ip, db_type: x}}]",
		"agent.yaml:2:39: stage geoip: db_type must be city, asn or country, or custom_lookups be set, not "
		"\"x\"");
	check_refused(ALLOY "[{geoip: {db: a, source: ip, custom_lookups: {a: '['}}}]",
		      "agent.yaml:2:46: stage geoip: expression of a: SyntaxError: Incomplete expression");
}

static int setup(void **state)
{
	(void)state;
	close(mkstemp(path));
	mmdb_save_example(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef LARCH_MAXMINDDB
		cmocka_unit_test(cities_become_labels),
		cmocka_unit_test(owners_become_labels),
		cmocka_unit_test(alloy_extracts),
		cmocka_unit_test(alloy_looks_up_what_it_is_asked_for),
		cmocka_unit_test(a_file_that_is_no_database_is_refused),
		cmocka_unit_test(a_damaged_database_does_no_harm),
#else
		cmocka_unit_test(says_that_it_is_not_there),
#endif
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
