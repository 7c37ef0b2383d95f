/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay: the main of a fuzz target where no fuzzer drives it. Every argument is a file or a directory of
 * files; each goes through the target once. Fails when there is none. */
#include "common/fs.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Room for every input; libFuzzer's own default is 1 MiB. */
enum { INPUT_MAX = 16 << 20 };

static long replay(const char *path)
{
	struct err e = ERR_INIT;
	struct stat st;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		struct fs_list names;
		struct buf file = {0};
		long n = 0;
		if (!fs_list(path, &names, &e)) goto failed;
		for (size_t i = 0; i < names.n; i++) {
			fs_path(&file, path, names.v[i]);
			n += replay(file.p);
		}
		buf_free(&file);
		fs_list_free(&names);
		return n;
	}
	struct buf in = {0};
	if (!fs_read_file(&fs_real, path, INPUT_MAX, &in, &e)) goto failed;
	/* A copy of the exact size, so that a sanitizer sees a read behind the end. */
	uint8_t *data = mem_alloc(in.n);
	if (in.n) memcpy(data, in.p, in.n);
	LLVMFuzzerTestOneInput(data, in.n);
	free(data);
	buf_free(&in);
	return 1;
failed:
	fprintf(stderr, "%s\n", e.msg);
	exit(1);
}

int main(int argc, char **argv)
{
	long n = 0;
	for (int i = 1; i < argc; i++) n += replay(argv[i]);
	printf("%ld inputs\n", n);
	return n ? 0 : 1;
}
