"""Dispatching: launches mailings, feeds them to the senders, and ends them."""
