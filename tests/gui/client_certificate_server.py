"""A web server that demands a certificate of its visitors and says who came.

Usage: client_certificate_server.py PORT CERTIFICATE KEY ANCHOR CHAIN. It prints the subject of each visitor's certificate,
after the handshake has proven that the visitor holds its key.
"""

import http.server
import ssl
import sys


class Greeter(http.server.BaseHTTPRequestHandler):
    """Answers every request with the visitor's name."""

    def do_GET(self):  # noqa: N802, the name is the library's
        subject = "; ".join(f"{key}={value}" for ((key, value),) in self.connection.getpeercert()["subject"])
        print(f"visitor: {subject}", flush=True)
        page = f"<title>Welcome</title><h1>Welcome, {subject}</h1>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def main():
    port, certificate, key, anchor, chain = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(anchor)
    context.load_verify_locations(chain)
    context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Greeter)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
