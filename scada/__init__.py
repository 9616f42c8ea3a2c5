"""Pumps and tide gates by Modbus, behind interlocks."""
