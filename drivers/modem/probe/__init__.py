"""What is wrong with a modem, and how a person can mend it: `infinireach modem probe`."""
