"""What every report is made with: tables, the page, the plots' style, the terminal; it knows no
study."""
