"""What Medusa reads and writes of HTTP.

head          HTTP heads, read strictly (RFC 9112)
proxy_header  the PROXY protocol's header, versions 1 and 2
signature     signed requests, by a header or a pre-signed URL
"""
