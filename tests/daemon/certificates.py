"""Two certificates for 127.0.0.1 that sign themselves, with their keys, made anew for each run."""

import re
import subprocess

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n", re.DOTALL)


def _made(name: str) -> tuple[str, str]:
    """A certificate and its key as PEM, good for two days."""
    words = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 -subj /CN={name}"
    alternatives = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    made = subprocess.run(
        [*words.split(), *alternatives, "-keyout", "-", "-out", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    blocks = {match[1]: match[0] for match in _BLOCK.finditer(made.stdout)}
    return blocks["CERTIFICATE"], blocks["PRIVATE KEY"]


ONE, ONE_KEY = _made("one")
TWO, TWO_KEY = _made("two")
