"""A scripted upstream: a real HTTP/1.1 server that speaks the OpenAI dialect and fails on command.

It is the newcomer's provider (no key needed) and the tests' upstream. It must never import another room of this
product but the error tree: a fault in the gateway must not be able to hide in a shared parser.

Read in this order: ``server`` takes a connection, ``wire`` reads a request, ``call`` understands it, ``chat``, ``legacy``
and ``media`` answer it, ``faults`` (with ``faults_transport``, ``faults_http``, ``faults_stream``) spoil the answer,
``script`` says how it goes onto the wire, ``records`` remembers. ``catalogue`` lists every fault as data.
"""
