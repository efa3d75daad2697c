"""A join token for DCDN, with Python's own library alone: python3 token.py SECRET_FILE [ORIGIN]"""

import base64
import hashlib
import hmac
import json
import sys
import time


def join_token(secret, origin=None, seconds=600):
    """A token for pages of `origin`, or of any. `secret` is what is in the server's file, as bytes."""
    claims = {"exp": int(time.time()) + seconds}
    if origin:
        claims["aud"] = origin
    head = {"alg": "HS256", "typ": "JWT"}
    signed = b".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
    signature = hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + base64url(signature)).decode()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        print(join_token(file.read().rstrip(b"\r\n"), *sys.argv[2:3]))
