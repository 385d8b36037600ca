"""Android phones: SMS by way of an app on the phone."""
