# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for tests: an authority, and what it signs, made with openssl."""
import os
import subprocess


class Authority:
    def __init__(self, env, name="authority"):
        self.env, self.name = env, name
        self.file, self.key = env.path(name + ".pem"), env.path(name + ".key")
        self._openssl("req", "-x509", *self._new_key(self.key), "-out", self.file, "-subj", f"/CN={name}", "-days", "2")

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.env.dir)

    def sign(self, name):
        """A certificate for localhost and 127.0.0.1: its file and that of its key, both replaced when there already."""
        file, key, request = (self.env.path(name + end) for end in (".pem", ".key", ".csr"))
        self._openssl("req", *self._new_key(key + ".new"), "-out", request, "-subj", f"/CN={name}", "-addext",
                      "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-out",
                      file + ".new", "-days", "2", "-copy_extensions", "copy")
        os.replace(key + ".new", key)
        os.replace(file + ".new", file)
        return file, key
