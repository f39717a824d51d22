"""A scripted upstream: a real HTTP/1.1 server that speaks every upstream dialect and fails on command.

It is the newcomer's provider (no key needed) and the tests' upstream. It must never import another room of this
product but the error tree: a fault in the gateway must not be able to hide in a shared parser.

Read in this order: ``server`` takes a connection, ``wire`` reads a request, ``routes`` knows its dialect, ``call``
understands it, ``chat``, ``legacy`` and ``media`` answer it in OpenAI's; ``anthropic``, ``gemini``, ``responses``,
``yandex``, ``cohere`` and ``ollama`` in theirs, after ``*_rules`` have refused what the real provider refuses, and with
what ``turn`` says. ``faults`` (``faults_transport``, ``faults_http``, ``faults_stream``, ``faults_dialects``) spoil it,
``moods`` say which requests are hit where not all are (``echo?flaky=0.2``, ``?slow=0.05``, ``?down=3-5`` or ``2s-4s``);
``script`` says how it goes onto the wire, ``records`` remembers. ``catalogue`` lists every fault as data.
"""
