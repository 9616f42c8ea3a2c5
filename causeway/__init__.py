"""The spine that every part of the control room shares."""
