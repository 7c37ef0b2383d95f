# SPDX-License-Identifier: GPL-2.0-or-later
"""A WebSocket client (RFC 6455) on a plain socket; standard library only. It checks what a server may not do: masked
frames, reserved bits, control frames in pieces."""
import base64
import hashlib
import os
import socket
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """An HTTP answer instead of 101."""

    def __init__(self, status, headers, body):
        super().__init__(f"HTTP {status}: {body!r}")
        self.status, self.headers, self.body = status, headers, body


class Closed(Exception):
    """The connection is over: the code and reason of the close frame, or (1006, "") without one."""

    def __init__(self, code, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class WebSocket:
    def __init__(self, port, target, headers=None, timeout=60, window=None, wrap=None):
        """window: bytes of the receive buffer, so that a client that does not read fills up soon. wrap: makes a TLS
        socket of the plain one."""
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        if window:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.sock.connect(("127.0.0.1", port))
        if wrap:
            self.sock = wrap(self.sock)
        self.input = b""
        self.pings = 0
        self.answer_pings = True
        self.closing = False
        self._shake_hands(target, headers or {})

    def _shake_hands(self, target, more):
        key = base64.b64encode(os.urandom(16))
        headers = {"Host": "localhost", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": key.decode(), **more}
        lines = [f"GET {target} HTTP/1.1"] + [f"{k}: {v}" for k, v in headers.items() if v is not None]
        self.sock.sendall("\r\n".join(lines + ["", ""]).encode())
        while b"\r\n\r\n" not in self.input:
            self._more()
        head, self.input = self.input.split(b"\r\n\r\n", 1)
        status = int(head.split(b" ", 2)[1])
        answer = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        if status != 101:
            while len(self.input) < int(answer.get("Content-Length", 0)):
                self._more()
            raise Refused(status, answer, self.input.decode())
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        assert answer["Sec-WebSocket-Accept"] == accept, answer
        assert answer["Upgrade"] == "websocket" and answer["Connection"] == "Upgrade", answer

    def _more(self):
        part = self.sock.recv(65536)
        if not part:
            raise Closed(1006)
        self.input += part

    def _take(self, n):
        while len(self.input) < n:
            self._more()
        part, self.input = self.input[:n], self.input[n:]
        return part

    def frame(self):
        """The next frame: (fin, opcode, payload)."""
        first, second = self._take(2)
        assert first & 0x70 == 0, "reserved bits are set"
        assert second & 0x80 == 0, "a server's frame is masked"
        fin, opcode, n = first & 0x80 != 0, first & 15, second
        if opcode >= 8:
            assert fin and n <= 125, "a control frame in pieces, or too long"
        if n == 126:
            n = struct.unpack(">H", self._take(2))[0]
            assert n > 125
        elif n == 127:
            n = struct.unpack(">Q", self._take(8))[0]
            assert n > 65535
        return fin, opcode, self._take(n)

    def receive(self):
        """The next message; answers pings, raises Closed at the end."""
        message = b""
        while True:
            fin, opcode, payload = self.frame()
            if opcode == PING:
                self.pings += 1
                if self.answer_pings:
                    self.send(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                if not self.closing:
                    self.send(CLOSE, payload[:2])
                while self.sock.recv(1 << 16):  # frames that were on their way
                    pass
                self.sock.close()
                raise Closed(code, payload[2:].decode())
            elif opcode != PONG:
                message += payload
                if fin:
                    return message.decode()

    def send(self, opcode, payload=b"", fin=True):
        mask = os.urandom(4)
        n = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        head += bytes([0x80 | n]) if n < 126 else bytes([0xfe]) + struct.pack(">H", n) if n < 65536 else \
            bytes([0xff]) + struct.pack(">Q", n)
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def close(self, code=1000, reason=""):
        """Closes in order; the code that the server answers with."""
        self.send(CLOSE, struct.pack(">H", code) + reason.encode())
        self.closing = True
        try:
            while True:
                self.receive()
        except Closed as e:
            return e.code

    def vanish(self):
        """Goes without a word: a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
