"""The parts of HTTP that Medusa reads and writes.

about         builds and parses what a peer says about itself for lists of sessions
early_check   finds out early that the head of a request can never be legal
head          parses the heads of HTTP requests and responses, strictly (RFC 9112)
own_header    checks the header fields that a user adds to requests
proxy_header  parses the header of the PROXY protocol, versions 1 and 2
response      reads responses: skips interim ones, finds the time of the next try and the target of a redirect
signature     builds and parses signed requests: with a signature in a header, or in a pre-signed URL
"""
