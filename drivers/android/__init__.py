"""SMS through Android phones that run the app SMS Gateway for Android (docs/android.md)."""
