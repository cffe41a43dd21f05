"""Serves certomancer's time-stamping authority on a free port of this computer, which is printed; ends with its input."""
import os
import sys
import threading

from certomancer.integrations.animator import Animator, AnimatorArchStore
from certomancer.registry import CertomancerConfig
from werkzeug.serving import make_server

with open("certomancer.yml", encoding="utf-8") as config:
    architectures = CertomancerConfig.from_yaml(config.read(), key_search_dir=".", config_search_dir=".").pki_archs
server = make_server("127.0.0.1", 0, Animator(AnimatorArchStore(architectures), with_web_ui=False), threaded=True)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
