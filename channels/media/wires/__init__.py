"""Packets on wires: closed forms, shared ports, messages of others."""
