"""What comes from the field by MQTT, file and stream, and what goes there by MQTT."""
