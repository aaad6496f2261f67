"""Inputs that lie elsewhere, brought into our own store, and what they show."""
