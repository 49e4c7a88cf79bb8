"""The cluster: where it is, and requests to it. No other file of the launcher imports Kubernetes' official client.

access  finds the cluster in the same way as kubectl
api     sends requests to the cluster through the official Python client
errors  the exception that a failed request raises, and its text
"""
