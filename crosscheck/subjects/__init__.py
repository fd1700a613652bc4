"""What can be tested: functions of named arrays, and how their derivatives are obtained."""
