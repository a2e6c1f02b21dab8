"""Where signals come from: plug-ins that see candles and say what they would like."""
