"""The vanilla recurrent unit."""
