"""Client of a hone server.

    from hone import generate
    client = generate.Client(batch_size=32, batch_timeout=0.5)
    answer = client.generate("smollm2", "Say hello")
"""
from . import generate
from .generate import Answer, AsyncClient, Client, HoneError

__all__ = ["Answer", "AsyncClient", "Client", "HoneError", "generate"]
